-- What the scripts share that end attempts. Stands in front of each of them.

-- Takes those out of active and lease that are in both; the others are left as they are, for they are somebody else's.
-- `expired_before`: only those whose lease ended no later, in Unix seconds; 0 for any.
-- Returns a table: id → true for those taken.
local function leave_active(active, lease, ids, expired_before)
  local taken, removed = {}, {}
  local scores = redis.call('ZMSCORE', lease, unpack(ids))
  -- LREM walks the list up to the id. In a long list a short look from either end tells where to start: tasks that run
  -- long are at the right end, those just taken at the left. The end that had the last one is looked at first.
  local is_long = redis.call('LLEN', active) > 256
  local from_right = true
  for i, id in ipairs(ids) do
    local score = scores[i]
    if score and (expired_before == 0 or tonumber(score) <= expired_before) and not taken[id] then
      if is_long then
        local rank = from_right and -1 or 1
        if not redis.call('LPOS', active, id, 'RANK', rank, 'MAXLEN', 128) then
          from_right = not from_right
        end
      end
      if redis.call('LREM', active, from_right and -1 or 1, id) == 1 then
        taken[id] = true
        removed[#removed + 1] = id
      end
    end
  end
  if #removed > 0 then
    redis.call('ZREM', lease, unpack(removed))
  end
  return taken
end

-- Frees a uniqueness lock if it is still this task's.
local function unlock(lock, id)
  if lock and lock ~= '' and redis.call('GET', lock) == id then
    redis.call('DEL', lock)
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
  local total = redis.pcall('INCRBY', key, n)
  if type(total) == 'table' and total.err then
    -- It is full, or not a number.
    redis.call('SET', key, n)
  end
  local daily = key .. ':' .. day(now)
  if redis.call('INCRBY', daily, n) == n then
    redis.call('EXPIREAT', daily, now + 90 * 86400)
  end
end

local now = tonumber(redis.call('TIME')[1])
