-- Makes known the floor of an epoch that has begun, unless another has begun since.
--
-- KEYS sentinel
-- ARGV server, epoch, floor
local epoch, server, floor = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'server', 'floor'))
if epoch ~= ARGV[2] or server ~= ARGV[1] then return 0 end
if floor < ARGV[3] then floor = ARGV[3] end
redis.call('HSET', KEYS[1], 'floor', floor, 'known', '1')
return 1
