-- Puts tasks of aggregation sets back into their groups, with their old times: those of one set, or of all that are stale.
-- A set that is too large for one call goes on under another name, and is stale: whoever held it has lost it.
--
-- KEYS[1]  aggregation sets zset
-- KEYS[2]  set of groups
-- KEYS[3]  holds zset: groups that are to be left alone → until when
-- ARGV[1]  prefix of group keys
-- ARGV[2]  how many tasks at most
-- ARGV[3]  key of the set, or '' for the stale ones
-- ARGV[4]  for how many ms the group is to be left alone; 0: not at all
-- Reply    { how many tasks are in their groups again, 1 if there are more }

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left, more = tonumber(ARGV[2]), 0
local failure

local function put_back(set)
  local group = string.sub(set, 1, #ARGV[1]) == ARGV[1] and string.match(string.sub(set, #ARGV[1] + 1), '^(.*):[^:]*$')
  local entries = group and redis.pcall('ZRANGE', set, 0, left - 1, 'WITHSCORES')
  -- Before anything is changed: on a Cluster the slot may be on the way to another node.
  for _, reply in ipairs({ entries or {}, group and redis.pcall('ZCARD', ARGV[1] .. group) or 0,
    entries and not entries.err and call('ZCARD', set) > #entries / 2 and redis.pcall('EXISTS', set .. '-rest') or 0 }) do
    if type(reply) == 'table' and reply.err and not string.find(reply.err, 'WRONGTYPE', 1, true) then
      failure = reply
      return
    end
  end
  call('ZREM', KEYS[1], set)
  if not entries or entries.err then
    -- It is not what it is said to be.
    return
  end
  for start = 1, #entries, 2000 do
    local members = {}
    for i = start, math.min(start + 1999, #entries), 2 do
      members[#members + 1] = entries[i + 1]
      members[#members + 1] = entries[i]
    end
    call('ZADD', ARGV[1] .. group, unpack(members))
  end
  local count = #entries / 2
  if count > 0 then
    call('SADD', KEYS[2], group)
    if tonumber(ARGV[4]) > 0 then
      call('ZADD', KEYS[3], math.ceil((now + ARGV[4]) / 1000), group)
      -- Long after the last hold is over.
      call('EXPIRE', KEYS[3], 3600 + math.ceil(ARGV[4] / 1000))
    end
  end
  left = left - count
  if left > 0 or count == 0 or call('ZCARD', set) == count then
    call('UNLINK', set)
    return
  end
  call('ZREMRANGEBYRANK', set, 0, count - 1)
  if string.sub(set, -5) ~= '-rest' then
    call('RENAME', set, set .. '-rest')
    set = set .. '-rest'
  end
  call('ZADD', KEYS[1], 0, set)
  more = 1
end

local most = left
if ARGV[3] ~= '' then
  if call('ZSCORE', KEYS[1], ARGV[3]) then
    put_back(ARGV[3])
  end
else
  for _, set in ipairs(call('ZRANGEBYSCORE', KEYS[1], '-inf', time[1], 'LIMIT', 0, 1000)) do
    if left == 0 then
      more = 1
      break
    end
    put_back(set)
    if failure then
      break
    end
  end
end
if failure and left == most then
  return failure
end
return { most - left, more }
