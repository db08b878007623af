-- Grants a lease where there is none and, unless a refresh is wanted, no valid value.
-- A bucket without a sentinel, or with another server's or timeline's, begins a new epoch: whoever is told so asks the
-- primary for its flush position, and makes that the floor (begin.lua). Until then nobody is granted anything.
--
-- KEYS sentinel, record, lease
-- ARGV server, timeline, new epoch, lease id, lease ms, '1' for a refresh, sentinel ms
local HIT, BUSY, LEASED, EPOCH, BEHIND = 0, 1, 2, 3, 4
local zero = '00000000000000000000'
local epoch, server, timeline, floor, known =
    unpack(redis.call('HMGET', KEYS[1], 'epoch', 'server', 'timeline', 'floor', 'known'))
if epoch and timeline > ARGV[2] then return {BEHIND} end
if not epoch or server ~= ARGV[1] or timeline ~= ARGV[2] then
    redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
    -- What has been heard of in between, or before, still counts.
    redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'server', ARGV[1], 'timeline', ARGV[2], 'floor', floor or zero)
    redis.call('PEXPIRE', KEYS[1], ARGV[7])
    return {EPOCH, ARGV[3]}
end
if not known then return {EPOCH, epoch} end

local left, record = redis.call('PTTL', KEYS[2]), redis.call('GET', KEYS[2])
if record and string.sub(record, 1, 8) ~= epoch then record = false end
local valid = record and string.byte(record, 9) == 1 and left > struct.unpack('>I4', record, 10)
if valid and ARGV[6] ~= '1' then return {HIT, epoch, left, record} end
local lease = redis.call('GET', KEYS[3])
if lease and string.sub(lease, 1, 8) == epoch then return {BUSY, epoch, left, record} end
redis.call('SET', KEYS[3], epoch .. ARGV[4], 'PX', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
-- decision::need: the floor has been raised by every invalidation of the bucket, and so covers the key's own.
return {LEASED, epoch, left, record, floor}
