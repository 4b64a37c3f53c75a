-- Runs, archives or deletes the first tasks of one state. KEYS[1…7] and ARGV[1…5]: see shared_move.lua.
--
-- KEYS[8]  the list, zset or group in which they lie
-- ARGV[6]  their state
-- ARGV[7]  how many at most
-- ARGV[8]  their group or ''
-- Reply    { how many were moved, how many are left }

local source, state, limit = KEYS[8], ARGV[6], ARGV[7]
local ids, tasks = {}, {}
if state == 'pending' then
  local newest_first = call('LRANGE', source, -limit, -1)
  for i = #newest_first, 1, -1 do
    ids[#ids + 1] = newest_first[i]
  end
else
  ids = call('ZRANGE', source, 0, limit - 1)
end
-- Before anything is changed.
for i, id in ipairs(ids) do
  local failure
  tasks[i], failure = read(id)
  if failure then
    return failure
  end
end
if state == 'pending' then
  call('LTRIM', source, 0, -#ids - 1)
else
  call('ZREMRANGEBYRANK', source, 0, #ids - 1)
end
if #ids > 0 and (state == 'scheduled' or state == 'retry') then
  call('ZREM', KEYS[6], unpack(ids))
end
for i, id in ipairs(ids) do
  local task, key = tasks[i], ARGV[1] .. id
  if task and task[1] then
    put(key, id, task[2])
  elseif task then
    -- What is left of its hash would keep the id from being used again.
    call('DEL', key)
  end
end
finish()
local left = call(state == 'pending' and 'LLEN' or 'ZCARD', source)
if ARGV[8] ~= '' and left == 0 then
  call('SREM', KEYS[7], ARGV[8])
end
return { moved, left }
