-- Ends attempts that succeeded, of tasks that are not kept.
--
-- KEYS[1]  active list
-- KEYS[2]  lease zset
-- KEYS[3]  counter of processed tasks; the day's is beside it
-- ARGV[1]  prefix of task keys
-- ARGV[2]  condition, as in shared_finish.lua
-- ARGV[3]  how many tasks
-- ARGV[4…] id of each task; after them, if one of them has a lock, the lock key or '' of each
-- Reply    the positions (from 1) of tasks that are no longer this worker's; these were left alone

local n = tonumber(ARGV[3])
local ids, keys, missing, done = { unpack(ARGV, 4, n + 3) }, {}, {}, 0
local prefix, has_locks = ARGV[1], #ARGV > n + 3
local taken = leave_active(KEYS[1], KEYS[2], ids, ARGV[2])
for i = 1, n do
  local id = ids[i]
  if taken[id] then
    taken[id] = nil -- Named twice, it ends once.
    done = done + 1
    keys[done] = prefix .. id
    if has_locks then
      unlock(ARGV[n + 3 + i], id)
    end
  else
    missing[#missing + 1] = i
  end
end
if done > 0 then
  call('DEL', unpack(keys))
end
count(KEYS[3], done, now)
return missing
