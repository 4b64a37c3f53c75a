-- Looks at groups, and stages those that are ready: takes tasks out of the group, oldest first, and puts them into a set of
-- their own. An id without a task is dropped.
--
-- KEYS[1]   set of groups
-- KEYS[2]   aggregation sets zset
-- KEYS[3]   holds zset: groups that are to be left alone → until when
-- ARGV[1]   prefix of task keys
-- ARGV[2]   prefix of group keys
-- ARGV[3]   grace period in ms
-- ARGV[4]   maximal delay in ms, or '' for none
-- ARGV[5]   maximal size, or '' for none
-- ARGV[6]   how many tasks a set holds at most
-- ARGV[7]   so many bytes of messages are enough for a set
-- ARGV[8]   after how many seconds a set is stale
-- ARGV[9]   how many sets to make at most
-- ARGV[10…] for each group: its name, and the id of its set if there will be one
-- Reply     for each group: ms until it, or what is left of it, is ready (-1: it has no tasks), and the ids that were staged

local call, pcall = redis.call, redis.pcall
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local grace, max_delay, max_size = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local most, enough, sets_left = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[9])
local stale = string.format('%.0f', time[1] + ARGV[8])
-- However many sets are made, one call does not do much more work than one large set needs.
local work_left = math.max(most, 1000)
local failure

-- Whether a reply says that a key cannot be read now: on a Cluster its slot may be on the way to another node.
local function is_away(reply)
  if type(reply) == 'table' and reply.err and not string.find(reply.err, 'WRONGTYPE', 1, true) then
    failure = reply
    return true
  end
  return false
end

-- How many ms until a group is ready; nil if it has no tasks.
local function wait(name)
  local key = ARGV[2] .. name
  local count = pcall('ZCARD', key)
  if is_away(count) then
    return 1000
  end
  -- A key of another type is no group.
  if type(count) ~= 'number' or count == 0 then
    return nil
  end
  local ready = now
  if not max_size or count < max_size then
    ready = call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] * 1000 + grace
    if max_delay then
      ready = math.min(ready, call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] * 1000 + max_delay)
    end
  end
  local hold = call('ZSCORE', KEYS[3], name)
  if hold then
    ready = math.max(ready, hold * 1000)
    if hold * 1000 <= now then
      call('ZREM', KEYS[3], name)
    end
  end
  return math.max(0, math.ceil(ready - now))
end

local function stage(name, set)
  local key = ARGV[2] .. name
  local entries = call('ZRANGE', key, 0, most - 1, 'WITHSCORES')
  local ids, members, looked_at, size = {}, {}, 0, 0
  local target = key .. ':' .. set
  -- Removes nothing. A Redis that is full refuses what may take memory as the first write of a script, and what is
  -- aggregated frees it in the end.
  call('ZREM', KEYS[2], target)
  for i = 1, #entries, 2 do
    local id = entries[i]
    local length = pcall('HSTRLEN', ARGV[1] .. id, 'msg')
    if is_away(length) then
      -- It waits, with those behind it.
      break
    end
    looked_at = looked_at + 1
    if type(length) == 'number' and length > 0 then
      ids[#ids + 1] = id
      members[#members + 1] = entries[i + 1]
      members[#members + 1] = id
      if #members == 2000 then
        call('ZADD', target, unpack(members))
        members = {}
      end
      size = size + length
      if size >= enough then
        break
      end
    end
  end
  if #members > 0 then
    call('ZADD', target, unpack(members))
  end
  if looked_at > 0 then
    call('ZREMRANGEBYRANK', key, 0, looked_at - 1)
  end
  if #ids > 0 then
    call('ZADD', KEYS[2], stale, target)
    sets_left = sets_left - 1
  end
  work_left = work_left - looked_at
  return ids
end

local reply, staged = {}, 0
for i = 10, #ARGV, 2 do
  local name, ids = ARGV[i], {}
  local due = wait(name)
  if due == 0 and sets_left > 0 and work_left > 0 then
    ids = stage(name, ARGV[i + 1])
    staged = staged + #ids
    due = wait(name)
  end
  if not due then
    call('SREM', KEYS[1], name)
  end
  reply[#reply + 1] = { due or -1, ids }
end
if failure and staged == 0 then
  return failure
end
return reply
