-- Extends leases. One that is gone stays gone. Marks are those of shared_lease.lua, which stands in front.
--
-- KEYS[1]  lease zset
-- ARGV[1]  length of a lease in seconds
-- ARGV[2]  the mark of each, with commas between them: only those whose lease has it; '' for any
-- ARGV[3…] ids
-- Reply    the positions (from 1) of tasks that have no such lease

local call = redis.call
local time = call('TIME')
local now, fraction = time[1] + ARGV[1], tonumber(time[2])
local ids, leases, missing = {}, {}, {}
for i = 3, #ARGV do
  ids[#ids + 1] = ARGV[i]
end
local marks = ARGV[2] ~= '' and string.gmatch(ARGV[2], '%d+')
for i, score in ipairs(call('ZMSCORE', KEYS[1], unpack(ids))) do
  -- The mark stays.
  local found, expected = score and mark(score), marks and tonumber(marks())
  if score and (not expected or found == expected) then
    leases[#leases + 1] = string.format('%.0f.%06d', found < fraction and now + 1 or now, found)
    leases[#leases + 1] = ids[i]
  else
    missing[#missing + 1] = i
  end
end
if #leases > 0 then
  -- Removes nothing. A Redis that is full refuses what may take memory as the first write of a script, and a lease must not
  -- end because of that.
  call('ZREM', KEYS[1], '')
  call('ZADD', KEYS[1], 'XX', unpack(leases))
end
return missing
