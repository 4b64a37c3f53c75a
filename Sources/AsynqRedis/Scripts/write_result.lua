-- Stores the result of a running task.
--
-- KEYS[1]  lease zset
-- KEYS[2]  task hash
-- ARGV[1]  id
-- ARGV[2]  mark of the attempt, as in shared_lease.lua
-- ARGV[3]  result
-- Reply    1, or 0 if this attempt is not running

local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or mark(score) ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[2], 'result', ARGV[3])
return 1
