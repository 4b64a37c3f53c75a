-- Ends attempts that failed, of tasks that are tried again.
--
-- KEYS[1]  active list
-- KEYS[2]  lease zset
-- KEYS[3]  counter of processed tasks; the day's is beside it
-- KEYS[4]  counter of failed tasks; the day's is beside it
-- KEYS[5]  retry zset
-- KEYS[6]  due zset: exact times in milliseconds, of tasks due at a fraction of a second
-- ARGV[1]  prefix of task keys
-- ARGV[2]  condition, as in shared_finish.lua
-- ARGV[3…] for each task: id, message, delay in ms, '1' if it counts as a failure
-- Reply    the positions (from 1) of tasks that are no longer this worker's; these were left alone

local time = call('TIME')
local milliseconds = time[1] * 1000 + math.floor(time[2] / 1000)
local ids, missing, failures = {}, {}, 0
for i = 3, #ARGV, 4 do
  ids[#ids + 1] = ARGV[i]
end
local taken = leave_active(KEYS[1], KEYS[2], ids, ARGV[2])
for i, id in ipairs(ids) do
  if taken[id] then
    taken[id] = nil -- Named twice, it ends once.
    local at = 4 * i - 1
    local delay = tonumber(ARGV[at + 2])
    local due = milliseconds + delay
    call('HSET', ARGV[1] .. id, 'msg', ARGV[at + 1], 'state', 'retry')
    call('ZADD', KEYS[5], string.format('%.0f', math.ceil(due / 1000)), id)
    -- For a delay of more than a few seconds the fraction is not worth an entry.
    if delay < 5000 and due % 1000 ~= 0 then
      call('ZADD', KEYS[6], string.format('%.0f', due), id)
    end
    failures = failures + tonumber(ARGV[at + 3])
  else
    missing[#missing + 1] = i
  end
end
count(KEYS[3], failures, now)
count(KEYS[4], failures, now)
return missing
