-- Lists tasks whose lease ended a while ago.
--
-- KEYS[1]  lease zset
-- KEYS[2]  active list
-- ARGV[1]  prefix of task keys
-- ARGV[2]  at least so many seconds ago
-- ARGV[3]  how many at most
-- Reply    { { id, message, … }, { ids dropped because they have no message } }

local call = redis.call
local now = call('TIME')[1]
local tasks, dropped = {}, {}
local failure
-- A task without a lease, which no script leaves behind, is known to no recovery. It is leased to nobody until now.
if call('LLEN', KEYS[2]) > call('ZCARD', KEYS[1]) then
  local ids = call('LRANGE', KEYS[2], -1000, -1)
  for i, score in ipairs(call('ZMSCORE', KEYS[1], unpack(ids))) do
    if not score then
      -- First what frees memory, and here removes nothing: a Redis that is full refuses the other.
      call('ZREM', KEYS[1], ids[i])
      call('ZADD', KEYS[1], now, ids[i])
    end
  end
end
for _, id in ipairs(call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2], 'LIMIT', 0, ARGV[3])) do
  -- pcall: a key of another type is no task.
  local message = redis.pcall('HGET', ARGV[1] .. id, 'msg')
  if type(message) == 'string' then
    tasks[#tasks + 1] = id
    tasks[#tasks + 1] = message
  elseif message and not string.find(message.err, 'WRONGTYPE', 1, true) then
    -- Not this id's fault: on a Cluster its slot may be on the way to another node. It waits.
    failure = message
  else
    call('ZREM', KEYS[1], id)
    call('LREM', KEYS[2], -1, id)
    dropped[#dropped + 1] = id
    if not message then
      -- What is left of its hash would keep the id from being used again.
      call('DEL', ARGV[1] .. id)
    end
  end
end
if failure and #tasks + #dropped == 0 then
  return failure
end
return { tasks, dropped }
