-- Pauses a queue; since when is left as it is if it is paused already.
--
-- KEYS[1]  paused marker
-- Reply    OK, or nil if it was paused

return redis.call('SET', KEYS[1], redis.call('TIME')[1], 'NX')
