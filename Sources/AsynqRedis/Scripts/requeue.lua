-- Hands tasks back to their queue, next to run: the last one named runs first.
--
-- KEYS[1]  active list
-- KEYS[2]  lease zset
-- KEYS[3]  pending list
-- ARGV[1]  prefix of task keys
-- ARGV[2]  condition, as in shared_finish.lua
-- ARGV[3…] ids
-- Reply    the positions (from 1) of tasks that are no longer this worker's; these were left alone

local time = call('TIME')
local since = time[1] .. string.format('%06d', time[2]) .. '000'
local ids, missing = {}, {}
for i = 3, #ARGV do
  ids[#ids + 1] = ARGV[i]
end
local taken = leave_active(KEYS[1], KEYS[2], ids, ARGV[2])
for i, id in ipairs(ids) do
  if taken[id] then
    taken[id] = nil -- Named twice, it ends once.
    call('HSET', ARGV[1] .. id, 'state', 'pending', 'pending_since', since)
    call('RPUSH', KEYS[3], id)
  else
    missing[#missing + 1] = i
  end
end
return missing
