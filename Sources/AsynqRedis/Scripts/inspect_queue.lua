-- The figures of a queue. Behind shared_finish.lua, for the day.
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
-- KEYS[10] counter of processed tasks; the day's is beside it
-- KEYS[11] counter of failed tasks; the day's is beside it
-- KEYS[12] lease zset
-- KEYS[13] due zset
-- ARGV[1]  prefix of task keys
-- ARGV[2]  prefix of group keys
-- ARGV[3]  how many tasks at each end of a list are weighed
-- ARGV[4]  of how many groups and aggregation sets the tasks are counted
-- Reply    { server time in Unix microseconds, since when it is paused or '', since when its oldest task is pending or '' in
--            Unix nanoseconds, all processed, all failed, processed today, failed today, bytes of memory (-1: unknown),
--            groups, aggregating tasks (-1: too many groups), pending, active, scheduled, retry, archived, completed }

local time = call('TIME')
local function number(key)
  return call('GET', key) or '0'
end

-- MEMORY may be forbidden.
local memory, is_weighed = 0, true
local function weight(key)
  local bytes = redis.pcall('MEMORY', 'USAGE', key)
  if type(bytes) == 'table' then
    is_weighed = false
  end
  return tonumber(bytes) or 0
end

local sizes = {}
for i = 1, 6 do
  local is_list = i <= 2
  local size = call(is_list and 'LLEN' or 'ZCARD', KEYS[i])
  sizes[i] = size
  if size > 0 and is_weighed then
    local range, sample = is_list and 'LRANGE' or 'ZRANGE', tonumber(ARGV[3])
    local ids = call(range, KEYS[i], 0, sample - 1)
    if size > sample then
      for _, id in ipairs(call(range, KEYS[i], math.max(sample, size - sample), -1)) do
        ids[#ids + 1] = id
      end
    end
    local sum = 0
    for _, id in ipairs(ids) do
      sum = sum + weight(ARGV[1] .. id)
    end
    memory = memory + weight(KEYS[i]) + sum / #ids * size
  end
end

local groups, aggregating = call('SCARD', KEYS[7]), -1
local sets = call('ZCARD', KEYS[8])
if groups + sets <= tonumber(ARGV[4]) then
  aggregating = 0
  local names = groups > 0 and call('SMEMBERS', KEYS[7]) or {}
  local zsets = sets > 0 and call('ZRANGE', KEYS[8], 0, -1) or {}
  for i, name in ipairs(names) do
    zsets[#zsets + 1] = ARGV[2] .. name
  end
  local sum, sample, bytes = 0, 0, 0
  for _, zset in ipairs(zsets) do
    local size = call('ZCARD', zset)
    aggregating = aggregating + size
    if size > 0 and sample < 2 * tonumber(ARGV[3]) and is_weighed then
      sample = sample + 1
      sum = sum + weight(ARGV[1] .. call('ZRANGE', zset, 0, 0)[1])
      bytes = bytes + weight(zset) / size
    end
  end
  if sample > 0 then
    memory = memory + (sum + bytes) / sample * aggregating
  end
end
for i = 7, 13 do
  if is_weighed then
    memory = memory + weight(KEYS[i])
  end
end

local oldest = ''
-- The Go system leaves tasks that were run by hand without a time.
local waiting = sizes[1] > 0 and call('LRANGE', KEYS[1], -10, -1) or {}
for i = #waiting, 1, -1 do
  local since = redis.pcall('HGET', ARGV[1] .. waiting[i], 'pending_since')
  if type(since) == 'string' then
    oldest = since
    break
  end
end

local today = ':' .. day(now)
return {
  time[1] .. string.format('%06d', time[2]), call('GET', KEYS[9]) or '', oldest, number(KEYS[10]), number(KEYS[11]),
  number(KEYS[10] .. today), number(KEYS[11] .. today), is_weighed and math.ceil(memory) or -1, groups, aggregating,
  unpack(sizes)
}
