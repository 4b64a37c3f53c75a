-- The marks of entries. An entry without one is given the current second.
--
-- KEYS[1]  marks zset: entry → its last settled occurrence in ms
-- ARGV[1]  how long a mark is kept in ms
-- ARGV[2…] entries
-- Reply    for each entry its mark in ms

local second = redis.call('TIME')[1] .. '000'
local reply = {}
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'NX', second, ARGV[i])
  reply[i - 1] = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]))
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return reply
