-- Put what the database said of a token into the cache, if the lease still stands.
--
-- KEYS: t:<digest>, tl:<digest>.  ARGV: lease, user, ms and gen as authenticate.lua gave them,
-- expiry ms or 0, longest life of the entry in ms.
--
-- ms and gen are of the moment before the row was read, so that the entry is never believed longer
-- than if it had been written at once.

if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
local now = now_ms()
local life = tonumber(ARGV[6])
local expires = tonumber(ARGV[5])
if expires > 0 then
  life = math.min(life, expires - now)
end
redis.call('DEL', KEYS[2])
if life <= 0 then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'u', ARGV[2], 'ms', ARGV[3], 'gen', ARGV[4], 'exp', ARGV[5])
redis.call('PEXPIRE', KEYS[1], life)
note_use(KEYS[1], now)
return 1
