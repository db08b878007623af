-- Ends a lease without a value.
--
-- KEYS lease
-- ARGV lease id
local lease = redis.call('GET', KEYS[1])
if lease and string.sub(lease, 9) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
