-- Put what the database said of a token into the cache, if the lease still stands; in any case
-- return what is left of the limit.
--
-- KEYS: t:<digest>, tl:<digest>.  ARGV: lease, user, ms and gen as authenticate.lua gave them,
-- expiry ms or 0, longest life of the entry in ms, the signature, then the limit's name, quota and
-- window ms.
--
-- ms and gen are of the moment before the row was read, so that the entry is never believed longer
-- than if it had been written at once.

local now = now_ms()
local left = take('l:' .. ARGV[8] .. ':' .. ARGV[2], now, tonumber(ARGV[9]), tonumber(ARGV[10]), 1)
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return left
end
local life = tonumber(ARGV[6])
local expires = tonumber(ARGV[5])
if expires > 0 then
  life = math.min(life, expires - now)
end
redis.call('DEL', KEYS[2])
if life <= 0 then
  return left
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'u', ARGV[2], 'ms', ARGV[3], 'gen', ARGV[4], 'exp', ARGV[5],
  's', ARGV[7])
redis.call('PEXPIRE', KEYS[1], life)
note_use(KEYS[1], now)
return left
