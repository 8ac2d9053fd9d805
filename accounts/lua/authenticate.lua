-- Whose token is this, and may they go on: {user and signature in one, what is left of the limit};
-- else take a lease for
-- filling the entry from the database and return {false, lease, now, gen}.
--
-- KEYS: t:<digest>, tl:<digest>.  ARGV: bound ms, a random text, lease ms, then the limit's name,
-- quota and window ms, as `take` in limit.lua wants them.
--
-- What the lease guarantees: a revocation deletes it together with the entry, and fill_token.lua
-- writes only where it still stands. So nothing that was read before a revocation is written after
-- it. Readers who miss at once share the lease: each of them reads the row after it was taken.

local now = now_ms()
local fresh = redis.call('HMGET', 'fresh', 'gen', 'ms')
local user, signature = token_user(KEYS[1], fresh, now, tonumber(ARGV[1]))
if user then
  local left = take('l:' .. ARGV[4] .. ':' .. user, now, tonumber(ARGV[5]), tonumber(ARGV[6]), 1)
  return {user .. signature, left}
end
local lease = redis.call('GET', KEYS[2])
if not lease then
  lease = ARGV[2]
  redis.call('SET', KEYS[2], lease, 'PX', ARGV[3])
end
return {false, lease, now, fresh[1] or ''}
