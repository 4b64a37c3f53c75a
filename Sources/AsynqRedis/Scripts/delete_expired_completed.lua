-- Deletes completed tasks whose retention is over.
--
-- KEYS[1]  completed zset
-- ARGV[1]  prefix of task keys
-- ARGV[2]  how many at most
-- Reply    how many were deleted

local now = redis.call('TIME')[1]
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
if #ids == 0 then
  return 0
end
local keys = {}
for i, id in ipairs(ids) do
  keys[i] = ARGV[1] .. id
end
redis.call('DEL', unpack(keys))
return redis.call('ZREM', KEYS[1], unpack(ids))
