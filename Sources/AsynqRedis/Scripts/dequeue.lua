-- Takes up to n tasks from a queue, oldest first, and leases them.
--
-- KEYS[1]  pending list
-- KEYS[2]  paused marker
-- KEYS[3]  active list
-- KEYS[4]  lease zset
-- ARGV[1]  prefix of task keys
-- ARGV[2]  n
-- ARGV[3]  length of a lease in seconds
-- ARGV[4]  so many bytes of messages are enough
-- Reply    { end of the lease in Unix seconds, server time in Unix microseconds,
--            { ids dropped because they have no message }, { id, message, pending_since, … } }

local time = redis.call('TIME')
local lease = time[1] + ARGV[3]
local now = time[1] .. string.format('%06d', time[2])
local tasks, ids, dropped = {}, {}, {}
if redis.call('EXISTS', KEYS[2]) == 1 then
  return { lease, now, dropped, tasks }
end
local enough = tonumber(ARGV[4])
local waiting = redis.call('LRANGE', KEYS[1], -ARGV[2], -1)
local taken, size, leases = 0, 0, {}
for i = #waiting, 1, -1 do
  local id = waiting[i]
  local key = ARGV[1] .. id
  -- pcall: a key of another type is no task either.
  local fields = redis.pcall('HMGET', key, 'msg', 'pending_since')
  local message = not fields.err and fields[1]
  if message then
    redis.call('HSET', key, 'state', 'active')
    redis.call('HDEL', key, 'pending_since')
    ids[#ids + 1] = id
    leases[#leases + 1] = lease
    leases[#leases + 1] = id
    tasks[#tasks + 1] = id
    tasks[#tasks + 1] = message
    tasks[#tasks + 1] = fields[2] or ''
    size = size + #message
  else
    dropped[#dropped + 1] = id
    if not fields.err then
      -- What is left of its hash would keep the id from being used again.
      redis.call('DEL', key)
    end
  end
  taken = taken + 1
  if size >= enough then
    break
  end
end
if taken > 0 then
  redis.call('LTRIM', KEYS[1], 0, -taken - 1)
end
if #ids > 0 then
  redis.call('LPUSH', KEYS[3], unpack(ids))
  redis.call('ZADD', KEYS[4], unpack(leases))
end
return { lease, now, dropped, tasks }
