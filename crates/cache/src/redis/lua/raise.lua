-- Raises a bucket's floor, the tombstone of all its keys. Without a floor that can be written there is to be no sentinel.
--
-- KEYS sentinel
-- ARGV at, sentinel ms
local floor = redis.call('HGET', KEYS[1], 'floor')
if not floor or floor < ARGV[1] then
    local raised = redis.pcall('HSET', KEYS[1], 'floor', ARGV[1])
    if type(raised) == 'number' then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
    else
        redis.call('DEL', KEYS[1])
    end
end
return 1
