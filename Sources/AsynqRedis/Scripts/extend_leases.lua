-- Extends leases. One that is gone stays gone.
--
-- KEYS[1]  lease zset
-- ARGV[1]  length of a lease in seconds
-- ARGV[2…] ids
-- Reply    the positions (from 1) of tasks that have no lease

local lease = redis.call('TIME')[1] + ARGV[1]
local ids, leases, missing = {}, {}, {}
for i = 2, #ARGV do
  ids[#ids + 1] = ARGV[i]
end
for i, score in ipairs(redis.call('ZMSCORE', KEYS[1], unpack(ids))) do
  if score then
    leases[#leases + 1] = lease
    leases[#leases + 1] = ids[i]
  else
    missing[#missing + 1] = i
  end
end
if #leases > 0 then
  -- Removes nothing. A Redis that is full refuses what may take memory as the first write of a script, and a lease must not
  -- end because of that.
  redis.call('ZREM', KEYS[1], '')
  redis.call('ZADD', KEYS[1], 'XX', unpack(leases))
end
return missing
