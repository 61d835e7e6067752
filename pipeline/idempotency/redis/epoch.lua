-- The store's memory has a name, and a counter that every batch raises: whoever
-- meets another name, or a counter that went back, knows that memory was lost.
--
-- KEYS[1] the key of the epoch
-- ARGV    what (count or accept), a random name
--
-- It returns the name, the counter, the name that a person last accepted and the
-- time in microseconds.

if ARGV[1] == 'accept' then
  redis.call('HSET', KEYS[1], 'id', ARGV[2], 'accepted', ARGV[2])
else
  redis.call('HSETNX', KEYS[1], 'id', ARGV[2])
end
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
local clock = redis.call('TIME')
return {redis.call('HGET', KEYS[1], 'id'), n, redis.call('HGET', KEYS[1], 'accepted'), clock[1] * 1000000 + clock[2]}
