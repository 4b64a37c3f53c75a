-- Archives tasks of an aggregation set. shared_finish.lua stands in front.
--
-- KEYS[1]  aggregation sets zset
-- KEYS[2]  the set
-- KEYS[3]  archived zset
-- ARGV[1]  prefix of task keys
-- ARGV[2]  how many tasks the archive holds at most
-- ARGV[3]  for how many seconds it holds them
-- ARGV[4…] for each task: id, message ('' leaves the one that is there, which cannot be read)
-- Reply    how many were archived; -1 if the set has ended

if not call('ZSCORE', KEYS[1], KEYS[2]) then
  return -1
end
local archived = 0
for i = 4, #ARGV, 2 do
  local id, key = ARGV[i], ARGV[1] .. ARGV[i]
  if call('ZREM', KEYS[2], id) == 1 then
    call('HSET', key, 'state', 'archived')
    if ARGV[i + 1] ~= '' then
      call('HSET', key, 'msg', ARGV[i + 1])
    end
    call('ZADD', KEYS[3], now, id)
    archived = archived + 1
  end
end

-- With all that belongs to the tasks; a few more than came in, so that the archive shrinks to its limit.
local function trim(old)
  for _, id in ipairs(old) do
    local key = ARGV[1] .. id
    local lock = redis.pcall('HGET', key, 'unique_key')
    if is_away(lock) then
      return
    end
    unlock(type(lock) == 'string' and lock, id)
    call('DEL', key)
    call('ZREM', KEYS[3], id)
  end
end
local most = archived + 100
trim(call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[3], 'LIMIT', 0, most))
local excess = call('ZCARD', KEYS[3]) - ARGV[2]
if excess > 0 then
  trim(call('ZRANGE', KEYS[3], 0, math.min(excess, most) - 1))
end
return archived
