-- Ends attempts that succeeded, of tasks that are not kept.
--
-- KEYS[1]  active list
-- KEYS[2]  lease zset
-- KEYS[3]  counter of processed tasks; the day's is beside it
-- ARGV[1]  prefix of task keys
-- ARGV[2…] id and lock key or '' of each task
-- Reply    the positions (from 1) of tasks that are no longer this worker's; these were left alone

local ids, keys, missing = {}, {}, {}
for i = 2, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
end
local taken = leave_active(KEYS[1], KEYS[2], ids, 0)
for i, id in ipairs(ids) do
  if taken[id] then
    keys[#keys + 1] = ARGV[1] .. id
    unlock(ARGV[2 * i + 1], id)
  else
    missing[#missing + 1] = i
  end
end
if #keys > 0 then
  redis.call('DEL', unpack(keys))
end
count(KEYS[3], #keys, now)
return missing
