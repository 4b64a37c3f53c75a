-- Takes or renews the lease of a group of schedulers.
--
-- KEYS[1]  lease
-- ARGV[1]  who asks
-- ARGV[2]  how long it is to last in ms
-- Reply    { 1 if it is held by who asks, else 0, how long it lasts in ms, server time in Unix microseconds }

local time = redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return { 1, tonumber(ARGV[2]), now }
end
return { 0, redis.call('PTTL', KEYS[1]), now }
