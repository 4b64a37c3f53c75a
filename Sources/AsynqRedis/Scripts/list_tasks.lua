-- Lists tasks of one state.
--
-- KEYS[1]  the list, zset or group in which they lie
-- KEYS[2]  lease zset
-- KEYS[3]  due zset
-- ARGV[1]  prefix of task keys
-- ARGV[2]  their state
-- ARGV[3]  how many to pass over
-- ARGV[4]  how many at most
-- ARGV[5]  so many bytes of messages are enough
-- Reply    { how many there are, at how many was looked, server time in Unix seconds,
--            { id, message, state, result or '', its time in Unix milliseconds or '', … } }

local call = redis.call
local source, state, offset, limit, enough = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local is_list = state == 'pending' or state == 'active'
local total = call(is_list and 'LLEN' or 'ZCARD', source)
local tasks, looked_at, size = {}, 0, 0
local ids, scores = {}, {}
if limit > 0 and offset < total then
  if is_list then
    -- The oldest is at the right end.
    local newest_first = call('LRANGE', source, -offset - limit, -offset - 1)
    for i = #newest_first, 1, -1 do
      ids[#ids + 1] = newest_first[i]
    end
    if state == 'active' and #ids > 0 then
      scores = call('ZMSCORE', KEYS[2], unpack(ids))
    end
  else
    local entries = call('ZRANGE', source, offset, offset + limit - 1, 'WITHSCORES')
    for i = 1, #entries, 2 do
      ids[#ids + 1] = entries[i]
      scores[#ids] = entries[i + 1]
    end
  end
end
for i, id in ipairs(ids) do
  if size >= enough then
    break
  end
  looked_at = i
  -- pcall: a key of another type is no task.
  local fields = redis.pcall('HMGET', ARGV[1] .. id, 'msg', 'state', 'result')
  if fields.err and not string.find(fields.err, 'WRONGTYPE', 1, true) then
    -- On a Cluster its slot may be on the way to another node.
    return fields
  end
  if not fields.err and fields[1] and fields[2] == state then
    local at = scores[i] and string.format('%.0f', scores[i] * 1000) or ''
    if state == 'scheduled' or state == 'retry' then
      local exact = call('ZSCORE', KEYS[3], id)
      if exact and math.ceil(exact / 1000) == tonumber(scores[i]) then
        at = exact
      end
    end
    size = size + #fields[1] + #(fields[3] or '')
    for _, value in ipairs({ id, fields[1], state, fields[3] or '', at }) do
      tasks[#tasks + 1] = value
    end
  end
end
return { total, looked_at, call('TIME')[1], tasks }
