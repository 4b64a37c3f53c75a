-- Tasks by their ids.
--
-- KEYS[1]  scheduled zset
-- KEYS[2]  retry zset
-- KEYS[3]  due zset
-- KEYS[4]  lease zset
-- ARGV[1]  prefix of task keys
-- ARGV[2…] ids
-- Reply    { server time in Unix seconds, { id, message, state, result or '', its time in Unix milliseconds or '', … } };
--          an id without a task is left out

local call = redis.call
local places = { scheduled = KEYS[1], retry = KEYS[2], active = KEYS[4] }
local tasks = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  -- pcall: a key of another type is no task.
  local fields = redis.pcall('HMGET', ARGV[1] .. id, 'msg', 'state', 'result')
  if fields.err and not string.find(fields.err, 'WRONGTYPE', 1, true) then
    -- On a Cluster its slot may be on the way to another node.
    return fields
  end
  if not fields.err and fields[1] and fields[2] then
    local state, at = fields[2], ''
    local score = places[state] and call('ZSCORE', places[state], id)
    if score then
      at = string.format('%.0f', score * 1000)
      local exact = state ~= 'active' and call('ZSCORE', KEYS[3], id)
      if exact and math.ceil(exact / 1000) == tonumber(score) then
        at = exact
      end
    end
    for _, value in ipairs({ id, fields[1], state, fields[3] or '', at }) do
      tasks[#tasks + 1] = value
    end
  end
end
return { call('TIME')[1], tasks }
