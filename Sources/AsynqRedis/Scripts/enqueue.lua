-- Enqueues plain tasks: no lock, no due time, no group.
--
-- KEYS[1]  pending list
-- ARGV[1]  prefix of task keys
-- ARGV[2…] id and message of each task
-- Reply    the positions (from 1) of tasks whose id exists; these were left alone

local time = redis.call('TIME')
local since = time[1] .. string.format('%06d', time[2]) .. '000'
local keys, seen, added, conflicts = {}, {}, {}, {}
for i = 2, #ARGV, 2 do
  keys[#keys + 1] = ARGV[1] .. ARGV[i]
end
-- As a rule none exists, and one look tells.
local exist = redis.call('EXISTS', unpack(keys)) > 0
for i = 2, #ARGV, 2 do
  local id, key = ARGV[i], keys[i / 2]
  if seen[id] or (exist and redis.call('EXISTS', key) == 1) then
    conflicts[#conflicts + 1] = i / 2
  else
    redis.call('HSET', key, 'msg', ARGV[i + 1], 'state', 'pending', 'pending_since', since)
    seen[id] = true
    added[#added + 1] = id
  end
end
if #added > 0 then
  redis.call('LPUSH', KEYS[1], unpack(added))
end
return conflicts
