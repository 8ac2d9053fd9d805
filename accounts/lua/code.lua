-- Before a code of the second factor is looked at: may this user be tried from here?
--
-- KEYS: l:<limit>:<user>:<address>, l:<limit>:<user>:<session>, l:user_codes:<user>,
-- known_code:<user>:<address>.
-- ARGV: quotas by address and by session, window ms; quota by user, its window ms (0 for no limit).
-- Answers {'known'} or {'stranger'}, or {which refuses: 'here' or 'user', ms until it would not}.
--
-- As guess.lua: counted before it is known to fail. Who has given a right code from this address
-- before is not held up by what others try elsewhere; what the user's limit refuses stays counted
-- for address and session, so those who keep trying leave the next try to others.
local now = now_ms()
local by_address, by_session, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local left = take(KEYS[1], now, by_address, window, 1, true)
if left and left[1] < 0 then return {'here', left[2]} end
left = take(KEYS[2], now, by_session, window, 1, true)
if left and left[1] < 0 then
  give_back(KEYS[1], now, by_address, window, 1)
  return {'here', left[2]}
end
if redis.call('EXISTS', KEYS[4]) == 1 then return {'known'} end
left = take(KEYS[3], now, tonumber(ARGV[4]), tonumber(ARGV[5]), 1, true)
if left and left[1] < 0 then return {'user', left[2]} end
return {'stranger'}
