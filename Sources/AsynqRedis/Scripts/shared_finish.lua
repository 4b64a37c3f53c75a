-- What the scripts share that end attempts. Stands in front of each of them, behind shared_lease.lua.

local call = redis.call

-- How far from an end of the active list to look for one id, and for the first of many.
local reach, far_reach = 1024, 4096

-- How far an id is from an end of the active list, counted from 1; nil if it is farther than most.
local function distance(active, id, length, most, is_right)
  local at = call('LPOS', active, id, 'RANK', is_right and -1 or 1, 'MAXLEN', most)
  return at and (is_right and length - at or at + 1)
end

-- Takes wanted ids out of the active list, those that lie near one of them: `far` from an end, as `distance` says.
-- `taken`: id → false if it is wanted; becomes true. Returns how many were taken.
local function sweep(active, lease, taken, length, far, wanted, is_right)
  -- Tasks taken later lie to the left of the first. What lies between all of these and the end comes along if it is little.
  local near = is_right and far - 64 or far - wanted - 64
  if near <= 2 * wanted then
    near = 0
  end
  local most = is_right and far + wanted + 64 or far + 64
  local first = is_right and math.max(0, length - most) or near
  local last = is_right and length - near - 1 or math.min(length, most) - 1
  local ids, found, count = call('LRANGE', active, first, last), {}, 0
  for i = 1, #ids do
    if taken[ids[i]] == false then
      taken[ids[i]] = true
      count = count + 1
      found[count] = i
    end
  end
  if count == 0 then
    return 0
  end
  -- What lies between them and an end of the list goes back there, if that is little.
  local from = is_right and found[1] or 1
  local to = is_right and #ids or found[count]
  local is_end = is_right and first + #ids == length or not is_right and first == 0
  if is_end and to - from + 1 <= 5 * count then
    local kept = {}
    for i = from, to do
      -- Pushed onto the left they are turned round.
      local id = is_right and ids[i] or ids[to + 1 - i]
      if not taken[id] then
        kept[#kept + 1] = id
      end
    end
    call('LTRIM', active, is_right and 0 or to, is_right and -(to - from) - 2 or -1)
    if #kept > 0 then
      call(is_right and 'RPUSH' or 'LPUSH', active, unpack(kept))
    end
  else
    -- Removes nothing. A Redis that is full refuses what may take memory as the first write of a script.
    call('ZREM', lease, '')
    -- No task has an empty id; one walk takes all of them out.
    for i = 1, count do
      call('LSET', active, first + found[i] - 1, '')
    end
    call('LREM', active, is_right and -count or count, '')
  end
  return count
end

-- Sets those ids to false whose tasks do not fulfil the condition (see `leave_active`).
local function apply(condition, lease, ids)
  local seconds = string.match(condition, '^expired (%d+)$')
  local last, marks = seconds and call('TIME')[1] - seconds, string.gmatch(condition, '%d+')
  for i, score in ipairs(call('ZMSCORE', lease, unpack(ids))) do
    local expected = not seconds and tonumber(marks())
    score = score and tonumber(score)
    if not score or last and score > last or expected and mark(score) ~= expected then
      ids[i] = false
    end
  end
end

-- Takes those out of active and lease that are in both; the others are left as they are, for they are somebody else's.
-- `condition`: '' for any; 'expired N' for those whose lease ended at least N seconds ago; or a number for each id, with commas
-- between them: the mark of the attempt that it must be.
-- Returns a table: id → true for those taken; and how many these are. Of `ids`, those that do not fulfil the condition
-- become false.
--
-- LREM walks the list up to the id, which in a long list is slow. Most ids are near an end: tasks that have run long at
-- the right, those just taken at the left. Tasks that end together were mostly taken together, and lie together.
local function leave_active(active, lease, ids, condition)
  local length, is_right, next = call('LLEN', active), true, 1
  local n, taken, wanted, done = #ids, {}, 0, 0
  local is_checked = condition ~= ''
  if is_checked then
    apply(condition, lease, ids)
  end
  for i = 1, n do
    if ids[i] and taken[ids[i]] == nil then
      taken[ids[i]] = false
      wanted = wanted + 1
    end
  end
  -- Wants only those that have a lease.
  local function check()
    is_checked = true
    local scores = call('ZMSCORE', lease, unpack(ids))
    for i = 1, n do
      if not scores[i] and taken[ids[i]] == false then
        taken[ids[i]] = nil
        wanted = wanted - 1
      end
    end
  end
  -- Each script puts an id into both or takes it out of both. So while they are of one length, whoever is in active has a
  -- lease, and to ask would cost as much as what follows.
  if not is_checked and length ~= call('ZCARD', lease) then
    check()
  end
  -- Beside many tasks of others that run for long, one's own that do not are at the left, which a short look tells.
  local known = length > reach and ids[1] and distance(active, ids[1], length, reach, false)
  if known then
    is_right = false
  end
  -- In a short list single ids are found as fast.
  local few = length > reach and 3 or 8
  for _ = 1, 4 do
    while next <= n and taken[ids[next]] ~= false do
      next = next + 1
    end
    if wanted - done < few then
      break
    end
    -- The first to end is as a rule the oldest.
    local far = next == 1 and known or distance(active, ids[next], length, far_reach, is_right)
    known = nil
    if not far then
      is_right = not is_right
      far = distance(active, ids[next], length, far_reach, is_right)
    end
    if far then
      local swept = sweep(active, lease, taken, length, far, wanted - done, is_right)
      if swept == 0 then
        break
      end
      done = done + swept
      length = length - swept
    elseif is_checked then
      break
    else
      -- One that is gone is not worth a long search.
      check()
    end
  end
  if done < wanted then
    for i = 1, n do
      local id = ids[i]
      if taken[id] == false then
        -- The end that had the last one is looked at first.
        if length > reach and not distance(active, id, length, reach, is_right) then
          if distance(active, id, length, reach, not is_right) then
            is_right = not is_right
          end
        end
        if call('LREM', active, is_right and -1 or 1, id) == 1 then
          taken[id] = true
          done = done + 1
        else
          taken[id] = nil
          if condition ~= '' then
            -- It has a lease. One without a task would be found again by each recovery.
            call('ZREM', lease, id)
          elseif not is_checked then
            check()
          end
        end
      end
    end
  end
  if done == n then
    call('ZREM', lease, unpack(ids))
  elseif done > 0 then
    local removed = {}
    for id in pairs(taken) do
      removed[#removed + 1] = id
    end
    call('ZREM', lease, unpack(removed))
  end
  return taken, done
end

-- Whether a reply says that a key cannot be read now, which is not the key's fault: on a Cluster its slot may be on the way
-- to another node.
local function is_away(reply)
  return type(reply) == 'table' and reply.err and not string.find(reply.err, 'WRONGTYPE', 1, true)
end

-- Frees a uniqueness lock if it is still this task's.
local function unlock(lock, id)
  -- pcall: a key of another type is no lock.
  if lock and lock ~= '' and redis.pcall('GET', lock) == id then
    call('DEL', lock)
  end
end

-- The day of a Unix time in UTC, as yyyy-mm-dd.
local function day(seconds)
  local z = math.floor(seconds / 86400) + 719468
  local era = math.floor(z / 146097)
  local day_of_era = z - era * 146097
  local year_of_era = math.floor(
    (day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local m = math.floor((5 * day_of_year + 2) / 153)
  local d = day_of_year - math.floor((153 * m + 2) / 5) + 1
  local month = m < 10 and m + 3 or m - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02d', year, month, d)
end

-- Adds to a counter: for all time, and for the day, which is kept for 90 days.
local function count(key, n, now)
  if n == 0 then
    return
  end
  local daily = key .. ':' .. day(now)
  for _, counter in ipairs({ key, daily }) do
    local total = redis.pcall('INCRBY', counter, n)
    if type(total) == 'table' and total.err then
      -- It is full, or not a number.
      call('SET', counter, n)
      total = n
    end
    if counter == daily and total == n then
      call('EXPIREAT', daily, now + 90 * 86400)
    end
  end
end

local now = tonumber(call('TIME')[1])
