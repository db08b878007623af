-- decision::fill_is_stored: only under the lease that is current, in the epoch in which it was granted.
--
-- KEYS sentinel, record, lease
-- ARGV server, lease id, record without its epoch, record ms
local epoch, server = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'server'))
if not epoch or server ~= ARGV[1] then return 0 end
if redis.call('GET', KEYS[3]) ~= epoch .. ARGV[2] then return 0 end
redis.call('DEL', KEYS[3])
redis.call('SET', KEYS[2], epoch .. ARGV[3], 'PX', ARGV[4])
return 1
