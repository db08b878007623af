-- decision::invalidated: the value becomes a stale copy, the lease is revoked; the tombstone is the bucket's floor, which
-- survives the key's eviction. Works in a server that is full and evicts nothing: what cannot be written is deleted.
--
-- raise.lua, which follows it in the same script, raises that floor.
--
-- KEYS sentinel, record, lease
-- ARGV at, sentinel ms
redis.call('DEL', KEYS[3])
local head = redis.call('GETRANGE', KEYS[2], 8, 12)
if #head == 5 and string.byte(head, 1) == 1 then
    local keep = struct.unpack('>I4', head, 2)
    local marked = keep > 0 and redis.pcall('SETRANGE', KEYS[2], 8, string.char(0))
    if type(marked) ~= 'number' then
        redis.call('DEL', KEYS[2])
    elseif redis.call('PTTL', KEYS[2]) > keep then
        redis.call('PEXPIRE', KEYS[2], keep)
    end
end
