-- Lists tasks whose lease ended a while ago.
--
-- KEYS[1]  lease zset
-- KEYS[2]  active list
-- ARGV[1]  prefix of task keys
-- ARGV[2]  at least so many seconds ago
-- ARGV[3]  how many at most
-- Reply    { { id, message, … }, { ids dropped because they have no message } }

local now = redis.call('TIME')[1]
local tasks, dropped = {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2], 'LIMIT', 0, ARGV[3])) do
  -- pcall: a key of another type is no task.
  local message = redis.pcall('HGET', ARGV[1] .. id, 'msg')
  if type(message) == 'string' then
    tasks[#tasks + 1] = id
    tasks[#tasks + 1] = message
  else
    redis.call('ZREM', KEYS[1], id)
    redis.call('LREM', KEYS[2], -1, id)
    dropped[#dropped + 1] = id
    if not message then
      -- What is left of its hash would keep the id from being used again.
      redis.call('DEL', ARGV[1] .. id)
    end
  end
end
return { tasks, dropped }
