-- Replaces the tasks of an aggregation set by another task. `enqueue()` stands in front: it is enqueue_with_options.lua, and
-- reads the first four keys and all of ARGV, which hold this one task.
--
-- KEYS[1…4] as in enqueue_with_options.lua
-- KEYS[5]   aggregation sets zset
-- KEYS[6]   the set
-- KEYS[7…]  locks that its tasks may hold
-- ARGV      as in enqueue_with_options.lua
-- Reply     as in enqueue_with_options.lua; or -3 if the set has ended, 0

local call = redis.call
local set, id, lock = KEYS[6], ARGV[3], ARGV[7]
local key, set_id = ARGV[1] .. id, string.match(KEYS[6], '[^:]*$')
if not call('ZSCORE', KEYS[5], set) then
  -- If it was replaced by this very task, the answer to that was lost.
  local fields = call('HMGET', key, 'aggregation_set', 'state')
  if fields[1] ~= set_id then
    return { -3, 0 }
  end
  local time = call('TIME')
  local outcomes = { scheduled = 1, aggregating = 2 }
  return { outcomes[fields[2]] or 0, time[1] * 1000 + math.floor(time[2] / 1000) }
end

local ids, is_staged = call('ZRANGE', set, 0, -1), {}
for _, staged in ipairs(ids) do
  is_staged[staged] = true
end
-- First of all, so that nothing is changed if it is refused. Ids and locks of the set's own tasks are about to be free.
if not is_staged[id] and call('EXISTS', key) == 1 then
  return { -1, 0 }
end
if lock ~= '' then
  local owner = call('GET', lock)
  if owner and not is_staged[owner] then
    return { -2, 0 }
  end
end

local function for_all(command)
  for start = 1, #ids, 1000 do
    local keys = {}
    for i = start, math.min(start + 999, #ids) do
      keys[#keys + 1] = ARGV[1] .. ids[i]
    end
    call(command, unpack(keys))
  end
end
-- On a Cluster some of them may be on the way to another node: this fails then, while nothing is changed.
for_all('EXISTS')
if ARGV[9] ~= '' then
  call('EXISTS', ARGV[2] .. ARGV[9])
end
for_all('UNLINK')
for i = 7, #KEYS do
  if is_staged[redis.pcall('GET', KEYS[i])] then
    call('DEL', KEYS[i])
  end
end
call('UNLINK', set)
call('ZREM', KEYS[5], set)
local reply = enqueue()
call('HSET', key, 'aggregation_set', set_id)
return reply
