-- Makes a server and its workers visible.
--
-- KEYS[1]  server info
-- KEYS[2]  hash of its workers
-- ARGV[1]  TTL in seconds
-- ARGV[2]  server info
-- ARGV[3…] task id and worker info of each worker
-- Reply    OK

redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[1])
redis.call('DEL', KEYS[2])
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
if #ARGV > 2 then
  redis.call('EXPIRE', KEYS[2], ARGV[1])
end
return redis.status_reply('OK')
