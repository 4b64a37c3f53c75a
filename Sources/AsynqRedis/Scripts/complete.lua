-- Ends attempts that succeeded, of tasks that are kept for a while.
--
-- KEYS[1]  active list
-- KEYS[2]  lease zset
-- KEYS[3]  counter of processed tasks; the day's is beside it
-- KEYS[4]  completed zset
-- ARGV[1]  prefix of task keys
-- ARGV[2]  condition, as in shared_finish.lua
-- ARGV[3…] for each task: id, lock key or '', message, retention in seconds
-- Reply    the positions (from 1) of tasks that are no longer this worker's; these were left alone

local ids, missing = {}, {}
for i = 3, #ARGV, 4 do
  ids[#ids + 1] = ARGV[i]
end
local taken = leave_active(KEYS[1], KEYS[2], ids, ARGV[2])
for i, id in ipairs(ids) do
  if taken[id] then
    taken[id] = nil -- Named twice, it ends once.
    local at = 4 * i - 1
    call('HSET', ARGV[1] .. id, 'msg', ARGV[at + 2], 'state', 'completed')
    call('ZADD', KEYS[4], string.format('%.0f', now + ARGV[at + 3]), id)
    unlock(ARGV[at + 1], id)
  else
    missing[#missing + 1] = i
  end
end
count(KEYS[3], #ids - #missing, now)
return missing
