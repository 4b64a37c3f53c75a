-- Runs, archives or deletes the first tasks of one state. KEYS[1…7] and ARGV[1…5]: see shared_move.lua.
--
-- KEYS[8]  the list, zset or group in which they lie
-- ARGV[6]  their state
-- ARGV[7]  how many at most
-- ARGV[8]  their group or ''
-- Reply    { how many were moved, how many are left }

local source, state, limit = KEYS[8], ARGV[6], ARGV[7]
local ids = {}
if state == 'pending' then
  local newest_first = call('LRANGE', source, -limit, -1)
  for i = #newest_first, 1, -1 do
    ids[#ids + 1] = newest_first[i]
  end
  call('LTRIM', source, 0, -#ids - 1)
else
  ids = call('ZRANGE', source, 0, limit - 1)
  call('ZREMRANGEBYRANK', source, 0, #ids - 1)
end
if #ids > 0 and (state == 'scheduled' or state == 'retry') then
  call('ZREM', KEYS[6], unpack(ids))
end
for _, id in ipairs(ids) do
  local key = ARGV[1] .. id
  -- pcall: a key of another type is no task.
  local fields = redis.pcall('HMGET', key, 'state', 'unique_key')
  if not fields.err then
    if fields[1] then
      put(key, id, fields[2])
    else
      -- What is left of its hash would keep the id from being used again.
      call('DEL', key)
    end
  end
end
finish()
local left = call(state == 'pending' and 'LLEN' or 'ZCARD', source)
if ARGV[8] ~= '' and left == 0 then
  call('SREM', KEYS[7], ARGV[8])
end
return { moved, left }
