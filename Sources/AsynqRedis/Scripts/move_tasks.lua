-- Runs, archives or deletes tasks by their ids. KEYS and ARGV[1…5]: see shared_move.lua.
--
-- ARGV[6…] ids
-- Reply    for each the state that it was in ('': there is no such task), and what became of it: 1 moved, 0 left alone,
--          -1 not looked for yet: ask again

local zsets = { scheduled = KEYS[2], retry = KEYS[3], archived = KEYS[4], completed = KEYS[5] }

-- Marks the place of an id that is taken out of the pending list. No id is blank.
local hole = ''
-- A list of this length is read as a whole.
local short = 4096
-- How far around the place at which an id should be it is looked for.
local around = 320

-- Takes ids out of the pending list. LREM compares each id from an end of the list on, which in a long list takes
-- milliseconds for one. So their places are looked for by the time since which they are pending, near which mostly lie
-- others that are wanted; these places are overwritten, and all holes are removed in one go.
-- `wanted`: list of ids. Returns a table: id → true for those that are out of the list; the others were not looked for.
local function leave_pending(wanted)
  local list, length = KEYS[1], call('LLEN', KEYS[1])
  local out, first, last, holes = {}, length, -1, 0
  for _, id in ipairs(wanted) do
    out[id] = false
  end
  local function dig(index, id)
    call('LSET', list, index, hole)
    out[id] = true
    first, last, holes = math.min(first, index), math.max(last, index), holes + 1
  end
  local function look(from, to)
    from = math.max(0, from)
    for i, id in ipairs(call('LRANGE', list, from, to)) do
      if out[id] == false then
        dig(from + i - 1, id)
      end
    end
  end
  local function pending_since(id)
    -- pcall: a failure half-way would leave holes.
    local since = id ~= hole and redis.pcall('HGET', ARGV[1] .. id, 'pending_since')
    return type(since) == 'string' and tonumber(since) or nil
  end
  -- Where an id should lie: the list is in the order of time, but for those that were handed back.
  local function guess(id)
    local wanted_since = pending_since(id)
    local low, high = 0, length - 1
    while wanted_since and low < high do
      local middle = math.floor((low + high) / 2)
      local found = pending_since(call('LINDEX', list, middle))
      if not found then
        return middle
      elseif found > wanted_since then
        low = middle + 1
      else
        high = middle
      end
    end
    return wanted_since and low or length - 1
  end
  if length <= short then
    look(0, -1)
    for id in pairs(out) do
      out[id] = true -- One that is not in the list is out of it.
    end
  else
    -- The next to run are looked at most often.
    look(length - around, -1)
    local searches = 0
    for _, id in ipairs(wanted) do
      if not out[id] and searches < 4 then
        searches = searches + 1
        local place = guess(id)
        look(place - around, place + around)
        if not out[id] then
          searches = 4
          local index = call('LPOS', list, id)
          if index then
            dig(index, id)
          end
          out[id] = true
        end
      end
    end
  end
  if holes > 0 then
    call('LREM', list, last < length - first and holes or -holes, hole)
  end
  return out
end

local tasks, states, pending = {}, {}, {}
for i = 6, #ARGV do
  local id = ARGV[i]
  local fields, failure = read(id)
  if failure then
    return failure
  end
  if fields and fields[1] and not tasks[id] then
    tasks[id], states[id] = fields, fields[1]
    if fields[1] == 'pending' and move ~= 'run' then
      pending[#pending + 1] = id
    end
  end
end
local out = #pending > 0 and leave_pending(pending) or {}

local reply = {}
for i = 6, #ARGV do
  local id = ARGV[i]
  local task, state, key = tasks[id], states[id], ARGV[1] .. id
  local outcome = 0
  if not task then
    state = ''
  elseif state == 'pending' then
    if move ~= 'run' then
      outcome = out[id] and 1 or -1
    end
  elseif zsets[state] then
    if not (move == 'archive' and state == 'archived') then
      call('ZREM', zsets[state], id)
      if state == 'scheduled' or state == 'retry' then
        call('ZREM', KEYS[6], id)
      end
      outcome = 1
    end
  elseif state == 'aggregating' and task[3] then
    -- One that is in no group is in a set that is being aggregated.
    local group = ARGV[2] .. task[3]
    if call('ZREM', group, id) == 1 then
      if call('EXISTS', group) == 0 then
        call('SREM', KEYS[7], task[3])
      end
      outcome = 1
    end
  end
  reply[#reply + 1] = state
  reply[#reply + 1] = outcome
  if outcome == 1 then
    put(key, id, task[2])
    -- Named twice, it is moved once.
    states[id] = move == 'run' and 'pending' or 'archived'
    if move == 'delete' then
      tasks[id] = nil
    end
  end
end
finish()
return reply
