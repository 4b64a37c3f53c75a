-- Deletes some tasks of a queue and, when none is left, everything else of it. Behind shared_finish.lua. The queue is paused
-- as long as something is left, so that nobody takes what is to be deleted.
--
-- KEYS[1]  pending list
-- KEYS[2]  active list
-- KEYS[3]  scheduled zset
-- KEYS[4]  retry zset
-- KEYS[5]  archived zset
-- KEYS[6]  completed zset
-- KEYS[7]  set of groups
-- KEYS[8]  aggregation_sets zset
-- KEYS[9]  paused marker
-- KEYS[10] counter of processed tasks; the days' are beside it
-- KEYS[11] counter of failed tasks; the days' are beside it
-- KEYS[12] lease zset
-- KEYS[13] due zset
-- KEYS[14] groups that are left alone for a while
-- KEYS[15] marks of schedulers' entries
-- ARGV[1]  prefix of task keys
-- ARGV[2]  prefix of group keys
-- ARGV[3]  '1': delete its tasks; '0': it must have none
-- ARGV[4]  how many tasks at most
-- Reply    { 'done', 'more', 'active' or 'full', tasks deleted, tasks left, active tasks whose lease has not ended };
--          nothing was changed if it is 'active' or 'full'

-- Of many groups the tasks are not counted.
local function count_tasks()
  local size = call('LLEN', KEYS[1]) + call('LLEN', KEYS[2])
  for i = 3, 6 do
    size = size + call('ZCARD', KEYS[i])
  end
  local groups, sets = call('SCARD', KEYS[7]), call('ZCARD', KEYS[8])
  if groups + sets > 1000 then
    return size + groups + sets
  end
  for _, name in ipairs(groups > 0 and call('SMEMBERS', KEYS[7]) or {}) do
    size = size + call('ZCARD', ARGV[2] .. name)
  end
  for _, set in ipairs(sets > 0 and call('ZRANGE', KEYS[8], 0, -1) or {}) do
    size = size + call('ZCARD', set)
  end
  return size
end

local live = call('ZCOUNT', KEYS[12], '(' .. now, '+inf')
local before = count_tasks()
if live > 0 then
  return { 'active', 0, before, live }
elseif before > 0 and ARGV[3] ~= '1' then
  return { 'full', 0, before, 0 }
end

local left, deleted = tonumber(ARGV[4]), 0
local failure
-- Deletes the first of these tasks, up to one that cannot be deleted now: on a Cluster its slot may be on the way to another
-- node. Returns how many were looked at.
local function delete(ids)
  local count = 0
  for _, id in ipairs(ids) do
    local key = ARGV[1] .. id
    local lock = redis.pcall('HGET', key, 'unique_key')
    if is_away(lock) then
      failure, left = lock, 0
      return count
    elseif type(lock) ~= 'table' then
      unlock(lock, id)
      deleted = deleted + call('UNLINK', key)
    end
    count = count + 1
  end
  left = left - #ids
  return count
end
for i = 1, 2 do
  if left > 0 then
    local count = delete(call('LRANGE', KEYS[i], 0, left - 1))
    if count > 0 then
      call('LTRIM', KEYS[i], count, -1)
    end
  end
end
local function delete_zset(zset)
  local count = delete(call('ZRANGE', zset, 0, left - 1))
  if count > 0 then
    call('ZREMRANGEBYRANK', zset, 0, count - 1)
  end
end
for i = 3, 6 do
  if left > 0 then
    delete_zset(KEYS[i])
  end
end
-- An empty group costs something, too.
local function delete_zsets(names, prefix, remove, index)
  for _, name in ipairs(names) do
    if left <= 0 then
      return
    end
    delete_zset(prefix .. name)
    if call('EXISTS', prefix .. name) == 0 then
      call(remove, KEYS[index], name)
    end
    left = left - 1
  end
end
if left > 0 then
  delete_zsets(call('SRANDMEMBER', KEYS[7], left), ARGV[2], 'SREM', 7)
end
if left > 0 then
  delete_zsets(call('ZRANGE', KEYS[8], 0, left - 1), '', 'ZREM', 8)
end

if failure and deleted == 0 then
  return failure
end
if left <= 0 or call('EXISTS', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]) > 0 then
  call('SET', KEYS[9], now, 'NX')
  return { 'more', deleted, count_tasks(), 0 }
end
local rest = {}
for i = 9, 15 do
  rest[#rest + 1] = KEYS[i]
end
for ago = -1, 91 do
  local name = ':' .. day(now - ago * 86400)
  rest[#rest + 1] = KEYS[10] .. name
  rest[#rest + 1] = KEYS[11] .. name
end
call('DEL', unpack(rest))
return { 'done', deleted, 0, 0 }
