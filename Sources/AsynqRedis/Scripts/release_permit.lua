-- Gives a place in a semaphore back, unless its holder has taken it anew.
--
-- KEYS[1]  semaphore zset: holder → deadline in Unix seconds
-- ARGV[1]  holder
-- ARGV[2]  the deadline that it got
-- Reply    1, or 0 if the place is no longer held

local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then
  return 0
end
return redis.call('ZREM', KEYS[1], ARGV[1])
