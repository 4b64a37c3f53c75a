-- Frees the lease of a group of schedulers.
--
-- KEYS[1]  lease
-- ARGV[1]  who has it
-- Reply    1, or 0 if somebody else has it or nobody

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
