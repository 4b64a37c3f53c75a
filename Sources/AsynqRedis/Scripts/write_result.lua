-- Stores the result of a running task.
--
-- KEYS[1]  lease zset
-- KEYS[2]  task hash
-- ARGV[1]  id
-- ARGV[2]  result
-- Reply    1, or 0 if the task is not running

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[2], 'result', ARGV[2])
return 1
