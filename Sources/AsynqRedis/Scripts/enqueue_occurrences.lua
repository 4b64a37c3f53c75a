-- Enqueues occurrences of periodic tasks, each at most once and none before its time. Calls enqueue_with_options.lua, which
-- stands before it as the function enqueue.
--
-- KEYS[1…4] as enqueue_with_options.lua has them
-- KEYS[5]   marks zset: entry → its last settled occurrence in ms
-- ARGV[1]   prefix of task keys
-- ARGV[2]   prefix of group keys
-- ARGV[3]   how long a mark is kept in ms
-- ARGV[4…]  for each occurrence: entry, time in ms, and its task's seven arguments of enqueue_with_options.lua
-- Reply     for each occurrence two numbers: as enqueue_with_options.lua, or -3 and the mark: settled before, or
--           -4 and ms: so much too early

local call, width = redis.call, 9
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local marks, accepted, arguments, reply = {}, {}, { ARGV[1], ARGV[2] }, {}
local entries = {}
for i = 4, #ARGV, width do
  entries[#entries + 1] = ARGV[i]
end
local settled = call('ZMSCORE', KEYS[5], unpack(entries))
for i = 4, #ARGV, width do
  local entry, occurrence = ARGV[i], tonumber(ARGV[i + 1])
  local mark = marks[entry] or tonumber(settled[(i - 4) / width + 1])
  if mark and mark >= occurrence then
    reply[#reply + 1] = -3
    reply[#reply + 1] = mark
  elseif occurrence > now then
    reply[#reply + 1] = -4
    reply[#reply + 1] = occurrence - now
  else
    marks[entry] = occurrence
    accepted[#accepted + 1] = #reply
    for k = i + 2, i + width - 1 do
      arguments[#arguments + 1] = ARGV[k]
    end
    reply[#reply + 1] = 0
    reply[#reply + 1] = 0
  end
end
if #accepted == 0 then
  return reply
end
local outcomes = enqueue(KEYS, arguments)
for i, place in ipairs(accepted) do
  reply[place + 1] = outcomes[2 * i - 1]
  reply[place + 2] = outcomes[2 * i]
end
-- Last, so that a task that could not be stored leaves no mark.
local scores = {}
for entry, occurrence in pairs(marks) do
  scores[#scores + 1] = string.format('%.0f', occurrence)
  scores[#scores + 1] = entry
end
call('ZADD', KEYS[5], unpack(scores))
call('ZREMRANGEBYSCORE', KEYS[5], '-inf', string.format('%.0f', now - ARGV[3]))
call('PEXPIRE', KEYS[5], ARGV[3])
return reply
