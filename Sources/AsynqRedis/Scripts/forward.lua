-- Moves tasks that are due from scheduled and retry to pending, or to their group.
--
-- KEYS[1]  scheduled zset
-- KEYS[2]  retry zset
-- KEYS[3]  due zset: exact times in milliseconds, of tasks due at a fraction of a second
-- KEYS[4]  pending list
-- KEYS[5]  set of groups
-- ARGV[1]  prefix of task keys
-- ARGV[2]  prefix of group keys
-- ARGV[3]  how many at most from each zset
-- Reply    { how many were moved, ms until the next is due (-1: none waits), { ids dropped because they have no message } }

local time = redis.call('TIME')
local now = tonumber(time[1])
local milliseconds = time[1] * 1000 + math.floor(time[2] / 1000)
local since = time[1] .. string.format('%06d', time[2]) .. '000'
local moved, pending, dropped = 0, {}, {}
local failure

local function move(zset, id)
  local key = ARGV[1] .. id
  -- pcall: a key of another type is no task.
  local fields = redis.pcall('HMGET', key, 'msg', 'group')
  local group = fields[2]
  local members = group and group ~= '' and redis.pcall('ZCARD', ARGV[2] .. group)
  if type(members) == 'table' then
    failure = members
    return
  elseif fields.err and not string.find(fields.err, 'WRONGTYPE', 1, true) then
    -- Not this id's fault: on a Cluster its slot may be on the way to another node. It waits.
    failure = fields
    return
  end
  redis.call('ZREM', zset, id)
  redis.call('ZREM', KEYS[3], id)
  if fields.err or not fields[1] then
    dropped[#dropped + 1] = id
    if not fields.err then
      -- What is left of its hash would keep the id from being used again.
      redis.call('DEL', key)
    end
    return
  end
  if members then
    -- In nanoseconds, and counted on within this call, so that the order of a group is known.
    redis.call('HSET', key, 'state', 'aggregating',
      'group_since', string.sub(since, 1, -4) .. string.format('%03d', moved % 1000))
    -- Rounded up, so that the group is not ready before its time.
    redis.call('ZADD', ARGV[2] .. group, string.format('%.0f', math.ceil(milliseconds / 1000)), id)
    redis.call('SADD', KEYS[5], group)
  else
    redis.call('HSET', key, 'state', 'pending', 'pending_since', since)
    pending[#pending + 1] = id
  end
  moved = moved + 1
end

for i = 1, 2 do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, ARGV[3])) do
    move(KEYS[i], id)
  end
end
local exact = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', milliseconds, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #exact, 2 do
  local id, second = exact[i], math.ceil(exact[i + 1] / 1000)
  local is_waiting = false
  for source = 1, 2 do
    -- Only if it still waits for this time: it may have been run, deleted or rescheduled by others.
    local score = redis.call('ZSCORE', KEYS[source], id)
    if score and tonumber(score) == second then
      is_waiting = true
      move(KEYS[source], id)
      break
    end
  end
  if not is_waiting then
    redis.call('ZREM', KEYS[3], id)
  end
end
if #pending > 0 then
  redis.call('LPUSH', KEYS[4], unpack(pending))
end
if failure and moved == 0 then
  return failure
end

local next_due = -1
for i, unit in ipairs({ 1000, 1000, 1 }) do
  local first = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  if first[2] then
    local due = math.max(0, math.ceil(first[2] * unit - milliseconds))
    next_due = next_due < 0 and due or math.min(next_due, due)
  end
end
return { moved, next_due, dropped }
