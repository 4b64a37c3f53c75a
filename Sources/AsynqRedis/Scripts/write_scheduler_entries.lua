-- Writes a piece of the list of a scheduler's entries. The last piece puts the whole in place of the list before.
--
-- KEYS[1]  list
-- KEYS[2]  list in the making
-- ARGV[1]  1 if this is the first piece, else 0
-- ARGV[2]  1 if this is the last piece, else 0
-- ARGV[3]  TTL in seconds
-- ARGV[4…] entries
-- Reply    OK

if ARGV[1] == '1' then
  redis.call('DEL', KEYS[2])
end
redis.call('RPUSH', KEYS[2], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[2], ARGV[3])
if ARGV[2] == '1' then
  redis.call('RENAME', KEYS[2], KEYS[1])
end
return redis.status_reply('OK')
