-- What the scripts share by which inspectors move tasks. Stands in front of each of them.
--
-- KEYS[1]  pending list
-- KEYS[2]  scheduled zset
-- KEYS[3]  retry zset
-- KEYS[4]  archived zset
-- KEYS[5]  completed zset
-- KEYS[6]  due zset: exact times in milliseconds, of tasks due at a fraction of a second
-- KEYS[7]  set of groups
-- ARGV[1]  prefix of task keys
-- ARGV[2]  prefix of group keys
-- ARGV[3]  what to do: run, archive or delete
-- ARGV[4]  how many tasks the archive holds at most
-- ARGV[5]  for how many seconds it holds them

local call = redis.call
local time = call('TIME')
local now = tonumber(time[1])
local since = time[1] .. string.format('%06d', time[2]) .. '000'
local move, moved, to_run = ARGV[3], 0, {}

-- Whether a reply says that a key cannot be read now, which is not the key's fault: on a Cluster its slot may be on the way
-- to another node.
local function is_away(reply)
  return type(reply) == 'table' and reply.err and not string.find(reply.err, 'WRONGTYPE', 1, true)
end

-- A task's state, uniqueness lock and group; nil if a key of another type is in its place. Second the failure, if it, or what
-- is to be changed with it, is away.
local function read(id)
  local fields = redis.pcall('HMGET', ARGV[1] .. id, 'state', 'unique_key', 'group')
  if is_away(fields) then
    return nil, fields
  elseif fields.err then
    return nil
  end
  local lock = move == 'delete' and fields[2] and fields[2] ~= '' and redis.pcall('EXISTS', fields[2])
  local group = fields[1] == 'aggregating' and fields[3] and redis.pcall('EXISTS', ARGV[2] .. fields[3])
  local failure = is_away(lock) and lock or is_away(group) and group or nil
  return fields, failure
end

-- Frees a uniqueness lock if it is still this task's.
local function unlock(lock, id)
  -- pcall: a key of another type is no lock.
  if lock and lock ~= '' and redis.pcall('GET', lock) == id then
    call('DEL', lock)
  end
end

-- Puts a task where it is to go; it has been taken out of where it was.
local function put(key, id, lock)
  moved = moved + 1
  if move == 'run' then
    call('HSET', key, 'state', 'pending', 'pending_since', since)
    to_run[#to_run + 1] = id
  elseif move == 'archive' then
    call('HSET', key, 'state', 'archived')
    call('HDEL', key, 'pending_since')
    call('ZADD', KEYS[4], now, id)
  else
    unlock(lock, id)
    call('UNLINK', key)
  end
end

-- To be called once, after all others. Trims the archive with all that belongs to the tasks: a few more than came in, so
-- that it shrinks to its limit without a long script.
local function finish()
  if #to_run > 0 then
    call('LPUSH', KEYS[1], unpack(to_run))
  end
  if move ~= 'archive' or moved == 0 then
    return
  end
  local function trim(old)
    for _, id in ipairs(old) do
      local key = ARGV[1] .. id
      local lock = redis.pcall('HGET', key, 'unique_key')
      if is_away(lock) then
        return
      end
      unlock(type(lock) == 'string' and lock, id)
      call('UNLINK', key)
      call('ZREM', KEYS[4], id)
    end
  end
  local most = moved + 100
  trim(call('ZRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[5], 'LIMIT', 0, most))
  local excess = call('ZCARD', KEYS[4]) - ARGV[4]
  if excess > 0 then
    trim(call('ZRANGE', KEYS[4], 0, math.min(excess, most) - 1))
  end
end
