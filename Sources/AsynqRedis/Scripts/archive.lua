-- Ends attempts that failed for good.
--
-- KEYS[1]  active list
-- KEYS[2]  lease zset
-- KEYS[3]  counter of processed tasks; the day's is beside it
-- KEYS[4]  counter of failed tasks; the day's is beside it
-- KEYS[5]  archived zset
-- ARGV[1]  prefix of task keys
-- ARGV[2]  condition, as in shared_finish.lua
-- ARGV[3]  how many tasks the archive holds at most
-- ARGV[4]  for how many seconds it holds them
-- ARGV[5…] for each task: id, message ('' leaves the one that is there, which cannot be read)
-- Reply    the positions (from 1) of tasks that are no longer this worker's; these were left alone

local ids, missing = {}, {}
for i = 5, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
end
local taken = leave_active(KEYS[1], KEYS[2], ids, ARGV[2])
for i, id in ipairs(ids) do
  if taken[id] then
    taken[id] = nil -- Named twice, it ends once.
    local key, message = ARGV[1] .. id, ARGV[2 * i + 4]
    call('HSET', key, 'state', 'archived')
    if message ~= '' then
      call('HSET', key, 'msg', message)
    end
    call('ZADD', KEYS[5], now, id)
  else
    missing[#missing + 1] = i
  end
end
local n = #ids - #missing
count(KEYS[3], n, now)
count(KEYS[4], n, now)

-- Trims the archive, with all that belongs to the tasks; a few more than came in, so that it shrinks to its limit without
-- a long script.
local function trim(old)
  for _, id in ipairs(old) do
    local key = ARGV[1] .. id
    local lock = redis.pcall('HGET', key, 'unique_key')
    if is_away(lock) then
      return
    end
    unlock(type(lock) == 'string' and lock, id)
    call('DEL', key)
    call('ZREM', KEYS[5], id)
  end
end
local most = n + 100
trim(call('ZRANGEBYSCORE', KEYS[5], '-inf', now - ARGV[4], 'LIMIT', 0, most))
local excess = call('ZCARD', KEYS[5]) - ARGV[3]
if excess > 0 then
  trim(call('ZRANGE', KEYS[5], 0, math.min(excess, most) - 1))
end
return missing
