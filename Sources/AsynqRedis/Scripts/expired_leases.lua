-- Lists tasks whose lease ended a while ago.
--
-- KEYS[1]  lease zset
-- KEYS[2]  active list
-- ARGV[1]  prefix of task keys
-- ARGV[2]  at least so many seconds ago
-- ARGV[3]  how many at most
-- Reply    { id, message, … }; ids without a task are removed instead

local now = redis.call('TIME')[1]
local tasks = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local message = redis.pcall('HGET', ARGV[1] .. id, 'msg')
  if type(message) == 'string' then
    tasks[#tasks + 1] = id
    tasks[#tasks + 1] = message
  else
    redis.call('ZREM', KEYS[1], id)
    redis.call('LREM', KEYS[2], -1, id)
  end
end
return tasks
