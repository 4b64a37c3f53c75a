-- Names the servers that have shown themselves lately, and forgets the others.
--
-- KEYS[1]  servers or workers zset
-- Reply    their keys

local now = redis.call('TIME')[1]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 1)
return redis.call('ZRANGE', KEYS[1], 0, -1)
