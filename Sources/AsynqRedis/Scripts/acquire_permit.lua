-- Takes a place in a semaphore; a holder keeps the one that it has.
--
-- KEYS[1]  semaphore zset: holder → deadline in Unix seconds
-- ARGV[1]  number of places
-- ARGV[2]  holder
-- ARGV[3]  how long to hold it, in seconds
-- Reply    the deadline, or 0 if all places are taken

local call = redis.call
local now = call('TIME')[1]
-- As in Go: a place is held to the end of the second of its deadline.
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
if not call('ZSCORE', KEYS[1], ARGV[2]) and call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then
  return 0
end
local deadline = now + ARGV[3]
call('ZADD', KEYS[1], string.format('%.0f', deadline), ARGV[2])
return deadline
