-- What a queue processed on each of the last days. Behind shared_finish.lua, for the day.
--
-- KEYS[1]  counter of processed tasks; the days' are beside it
-- KEYS[2]  counter of failed tasks; the days' are beside it
-- ARGV[1]  how many days
-- Reply    { server time in Unix seconds, processed today, failed today, … yesterday, … }

local keys = {}
for ago = 0, ARGV[1] - 1 do
  local name = ':' .. day(now - ago * 86400)
  keys[#keys + 1] = KEYS[1] .. name
  keys[#keys + 1] = KEYS[2] .. name
end
local reply = call('MGET', unpack(keys))
for i = 1, #keys do
  reply[i] = reply[i] or '0'
end
table.insert(reply, 1, now)
return reply
