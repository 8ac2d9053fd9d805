-- Before a password is looked at: may this name be tried from this address?
--
-- KEYS: l:address:<address>, l:guesses:<name>:<address>, l:name:<name>, known:<name>:<address>.
-- ARGV: the three quotas (0 for no limit), window ms.
-- Answers {'known'} or {'stranger'}, or {the limit that refuses, ms until it would not}.
--
-- An attempt is counted before it is known to fail, so that many at once can't all pass; forgive.lua
-- takes it back when it did not fail. Who has logged in from this address before is not held up by
-- what others try on the name. What the name refuses stays counted for the address: so those who
-- keep trying use up their own tries, and leave the next one that the name allows to others.
local now = now_ms()
local window = tonumber(ARGV[4])
local by_address, by_pair, by_name = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known = by_pair > 0 and redis.call('EXISTS', KEYS[4]) == 1

local left = take(KEYS[1], now, by_address, window, 1, true)
if left and left[1] < 0 then return {'address', left[2]} end
left = take(KEYS[2], now, by_pair, window, 1, true)
if left and left[1] < 0 then
  give_back(KEYS[1], now, by_address, window, 1)
  return {'guesses', left[2]}
end
if known then return {'known'} end
left = take(KEYS[3], now, by_name, window, 1, true)
if left and left[1] < 0 then return {'name', left[2]} end
return {'stranger'}
