-- Enqueues tasks of any kind: unique, scheduled, grouped, or plain ones among them.
--
-- KEYS[1]  pending list
-- KEYS[2]  scheduled zset
-- KEYS[3]  due zset: exact times in milliseconds, of tasks due at a fraction of a second
-- KEYS[4]  set of groups
-- ARGV[1]  prefix of task keys
-- ARGV[2]  prefix of group keys
-- ARGV[3…] for each task: id, message, start time in ms (0: none), delay in ms (0: none), lock key or '',
--          lock TTL in ms from the start, group or ''
-- Reply    for each task two numbers: 0 pending, 1 scheduled, 2 aggregating, -1 id conflict, -2 duplicate;
--          and the time in ms at which it may start

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = time[1] .. string.format('%06d', time[2]) .. '000'
local reply, keys, seen, pending = {}, {}, {}, {}
for i = 3, #ARGV, 7 do
  keys[#keys + 1] = ARGV[1] .. ARGV[i]
end
-- As a rule none exists, and one look tells.
local exist = #keys > 0 and redis.call('EXISTS', unpack(keys)) > 0
for i = 3, #ARGV, 7 do
  local id, message, lock, group = ARGV[i], ARGV[i + 1], ARGV[i + 4], ARGV[i + 6]
  local start, delay = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  if delay > 0 then
    start = now + delay
  end
  start = math.max(start, now)
  local key = keys[(i - 3) / 7 + 1]
  local outcome
  -- The id first: a lock taken for a task that is then refused would stay behind.
  if seen[id] or (exist and redis.call('EXISTS', key) == 1) then
    outcome = -1
  elseif lock ~= '' and not redis.call('SET', lock, id, 'NX', 'PX', string.format('%.0f', ARGV[i + 5] + start - now)) then
    outcome = -2
  elseif start == now and lock == '' and group == '' then
    outcome = 0
    redis.call('HSET', key, 'msg', message, 'state', 'pending', 'pending_since', since)
    pending[#pending + 1] = id
    seen[id] = true
  else
    local fields = { 'msg', message }
    local function field(name, value)
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
    if lock ~= '' then
      field('unique_key', lock)
    end
    if group ~= '' then
      field('group', group)
    end
    if start > now then
      outcome = 1
      field('state', 'scheduled')
      -- Scores are whole seconds, rounded up so that no reader of the zset starts the task early.
      redis.call('ZADD', KEYS[2], string.format('%.0f', math.ceil(start / 1000)), id)
      if start % 1000 ~= 0 then
        redis.call('ZADD', KEYS[3], string.format('%.0f', start), id)
      end
    elseif group ~= '' then
      outcome = 2
      field('state', 'aggregating')
      -- Rounded up, so that the group is not ready before its time.
      redis.call('ZADD', ARGV[2] .. group, string.format('%.0f', math.ceil(now / 1000)), id)
      redis.call('SADD', KEYS[4], group)
      -- Of our own: in nanoseconds, and counted on within this call, so that the order of a group is known.
      field('group_since', string.sub(since, 1, -4) .. string.format('%03d', (i - 3) / 7 % 1000))
    else
      outcome = 0
      field('state', 'pending')
      field('pending_since', since)
      pending[#pending + 1] = id
    end
    redis.call('HSET', key, unpack(fields))
    seen[id] = true
  end
  reply[#reply + 1] = outcome
  reply[#reply + 1] = start
end
if #pending > 0 then
  redis.call('LPUSH', KEYS[1], unpack(pending))
end
return reply
