-- Ends attempts that succeeded, of tasks that are not kept.
--
-- KEYS[1]  active list
-- KEYS[2]  lease zset
-- KEYS[3]  counter of processed tasks; the day's is beside it
-- ARGV[1]  prefix of task keys
-- ARGV[2…] id and lock key or '' of each task
-- Reply    the positions (from 1) of tasks that are no longer this worker's; these were left alone

local ids, keys, missing = {}, {}, {}
local n, done = (#ARGV - 1) / 2, 0
for i = 1, n do
  ids[i] = ARGV[2 * i]
end
local prefix, taken = ARGV[1], leave_active(KEYS[1], KEYS[2], ids, 0)
for i = 1, n do
  local id = ids[i]
  if taken[id] then
    taken[id] = nil -- Named twice, it ends once.
    done = done + 1
    keys[done] = prefix .. id
    unlock(ARGV[2 * i + 1], id)
  else
    missing[#missing + 1] = i
  end
end
if done > 0 then
  call('DEL', unpack(keys))
end
count(KEYS[3], done, now)
return missing
