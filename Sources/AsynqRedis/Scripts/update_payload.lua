-- Gives a scheduled task another message. If it is unique, and still holds its lock, it takes the lock of its new payload
-- for the time that is left, and frees the old one.
--
-- KEYS[1]  task hash
-- ARGV[1]  id
-- ARGV[2]  the message that was read
-- ARGV[3]  the new one
-- ARGV[4]  key of its lock or ''
-- ARGV[5]  key of the lock of its new payload or ''
-- Reply    'ok'; 'changed' if it has another message than was read; 'duplicate' if another task holds the new lock; or the
--          state that it is in instead, '' if there is no such task

local call = redis.call
local id, old, new = ARGV[1], ARGV[4], ARGV[5]
-- pcall: a key of another type is no task.
local fields = redis.pcall('HMGET', KEYS[1], 'msg', 'state')
if fields.err or not fields[1] then
  return ''
elseif fields[2] ~= 'scheduled' then
  return fields[2] or ''
elseif fields[1] ~= ARGV[2] then
  return 'changed'
end
if old ~= '' and old ~= new then
  if call('GET', old) == id then
    local left = call('PTTL', old)
    local is_taken
    if left > 0 then
      is_taken = call('SET', new, id, 'NX', 'PX', left)
    else
      is_taken = call('SET', new, id, 'NX')
    end
    if not is_taken then
      return 'duplicate'
    end
    call('DEL', old)
  end
  call('HSET', KEYS[1], 'unique_key', new)
end
call('HSET', KEYS[1], 'msg', ARGV[3])
return 'ok'
