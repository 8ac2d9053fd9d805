-- Whose token is this? Shared by every script that authenticates; needs fresh.lua.
--
-- `t:<digest>` is a hash: u, the user; s, the signature of digest and user; ms, the moment (cache
-- clock) before which nobody had read
-- the row yet; gen, the cache's generation then; exp, when the token expires, 0 for never; used,
-- when its use was last noted. A use is noted once a minute, in `touched` (digest -> ms), which a
-- task carries into the rows: a request never writes one. Where a cache refuses the note, it does not
-- refuse the request.

local TOUCH_MS = 60000

local function note_use(token_key, now)
  redis.pcall('HSET', token_key, 'used', now)
  redis.pcall('HSET', 'touched', string.sub(token_key, 3), now)
end

-- The user's id and its signature, which only Python can check; or false when the cache doesn't
-- know, isn't to be believed, or the token expired.
-- fresh: the sweeper's {gen, ms}; bound: how old, in milliseconds, what is believed may be.
local function token_user(token_key, fresh, now, bound)
  local entry = redis.call('HMGET', token_key, 'u', 'ms', 'gen', 'exp', 'used', 's')
  if not entry[1] or not believed(fresh, entry[3], entry[2], now, bound) then
    return false
  end
  local expires = tonumber(entry[4]) or 0
  if expires > 0 and expires <= now then
    return false
  end
  if now - (tonumber(entry[5]) or 0) >= TOUCH_MS then
    note_use(token_key, now)
  end
  return entry[1], entry[6] or ''
end
