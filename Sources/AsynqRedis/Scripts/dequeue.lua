-- Takes up to n tasks from a queue, oldest first, and leases them.
--
-- KEYS[1]  pending list
-- KEYS[2]  paused marker
-- KEYS[3]  active list
-- KEYS[4]  lease zset
-- ARGV[1]  prefix of task keys
-- ARGV[2]  n
-- ARGV[3]  length of a lease in seconds
-- ARGV[4]  so many bytes of messages are enough
-- ARGV[5]  mark of these attempts, with six digits: the fraction of their leases' end, in microseconds
-- Reply    { end of the leases, server time, both in Unix microseconds,
--            { ids dropped because they have no message }, { id, message, pending_since, … } }

local call, pcall = redis.call, redis.pcall
local time = call('TIME')
-- The first moment with that fraction after a full lease. A text, as each use of a number would format it again.
local mark = ARGV[5]
local seconds = string.format('%.0f', time[1] + ARGV[3] + (tonumber(mark) < tonumber(time[2]) and 1 or 0))
local lease, lease_end = seconds .. '.' .. mark, seconds .. mark
local now = time[1] .. string.format('%06d', time[2])
local dropped, tasks = {}, {}
if call('EXISTS', KEYS[2]) == 1 then
  return { lease_end, now, dropped, tasks }
end
local prefix, enough = ARGV[1], tonumber(ARGV[4])
local waiting = call('LRANGE', KEYS[1], -ARGV[2], -1)
local ids, leases = {}, {}
-- Counted by hand: the length of a table is searched for each time.
local looked_at, taken, size = 0, 0, 0
for i = #waiting, 1, -1 do
  local id = waiting[i]
  local key = prefix .. id
  -- pcall: a key of another type is no task either.
  local fields = pcall('HMGET', key, 'msg', 'pending_since')
  if fields.err and not string.find(fields.err, 'WRONGTYPE', 1, true) then
    -- Not this id's fault: on a Cluster its slot may be on the way to another node. It waits, with those behind it.
    if looked_at == 0 then
      return fields
    end
    break
  end
  local message = not fields.err and fields[1]
  looked_at = looked_at + 1
  if message then
    -- First what frees memory: a Redis that is full refuses the other as the first write of a script.
    call('HDEL', key, 'pending_since')
    call('HSET', key, 'state', 'active')
    tasks[3 * taken + 1] = id
    tasks[3 * taken + 2] = message
    tasks[3 * taken + 3] = fields[2] or ''
    leases[2 * taken + 1] = lease
    leases[2 * taken + 2] = id
    taken = taken + 1
    ids[taken] = id
    size = size + #message
    if size >= enough then
      break
    end
  else
    dropped[#dropped + 1] = id
    if not fields.err then
      -- What is left of its hash would keep the id from being used again.
      call('DEL', key)
    end
  end
end
if looked_at > 0 then
  call('LTRIM', KEYS[1], 0, -looked_at - 1)
end
if taken > 0 then
  call('LPUSH', KEYS[3], unpack(ids))
  -- A small sorted set is a list that each new entry is compared with from the beginning, its scores as texts: for a hundred
  -- entries that takes longer than all else here. One that is longer than 64 bytes makes it a tree, until the set is empty;
  -- no task has an id of blanks.
  local long = taken >= 16 and call('ZCARD', KEYS[4]) <= 128 and string.rep(' ', 65)
  if long then
    call('ZADD', KEYS[4], 0, long)
  end
  call('ZADD', KEYS[4], unpack(leases))
  if long then
    call('ZREM', KEYS[4], long)
  end
end
return { lease_end, now, dropped, tasks }
