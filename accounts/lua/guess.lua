-- Before a password is looked at: may this name be tried from this address?
--
-- KEYS: l:address:<address>, l:guesses:<name>:<address>, l:name:<name>, known:<name>:<address>,
-- l:address_logins:<address>, l:logins:<name>:<address>, l:name_logins:<name>.
-- ARGV: quotas of failures by address, pair and name, then of right logins by address, pair and
-- name (0 for no limit), window ms.
-- Answers {'known'}, {'returning'} or {'stranger'}, or {the limit that refuses, ms until it would
-- not}.
--
-- An attempt is counted before it is known to fail or not, as both, so that many at once can't all
-- pass; settle.lua takes back what it turned out not to be. Who has logged in from this address
-- before is not held up by what others try on the name. What the name refuses stays counted for the
-- address: so those who keep trying use up their own tries, and leave the next one that the name
-- allows to others. The same for right logins: what the address or the name refuses stays counted
-- for the pair. Where the address has none left, a name that is known there pays RETURNING of its
-- own instead, so that a neighbour's logins keep nobody out.
local RETURNING = 5
local now = now_ms()
local window = tonumber(ARGV[7])
local by_address, by_pair, by_name = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local right_address, right_pair, right_name = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local known = (by_pair > 0 or right_pair > 0) and redis.call('EXISTS', KEYS[4]) == 1

local function refuses(key, quota, cost)
  local left = take(key, now, quota, window, cost, true)
  return left and left[1] < 0 and left[2]
end

local wait = refuses(KEYS[1], by_address, 1)
if wait then return {'address', wait} end
wait = refuses(KEYS[2], by_pair, 1)
if wait then
  give_back(KEYS[1], now, by_address, window, 1)
  return {'guesses', wait}
end
if not known then
  wait = refuses(KEYS[3], by_name, 1)
  if wait then return {'name', wait} end
end

-- Not tried for the sake of the logins before it, which were right: that is no failure.
local function no_guess(limit, ms)
  give_back(KEYS[1], now, by_address, window, 1)
  give_back(KEYS[2], now, by_pair, window, 1)
  if not known then give_back(KEYS[3], now, by_name, window, 1) end
  return {limit, ms}
end

wait = refuses(KEYS[6], right_pair, 1)
if wait then return no_guess('logins', wait) end
wait = refuses(KEYS[5], right_address, 1)
if wait then
  if not known or right_pair < RETURNING then return no_guess('address_logins', wait) end
  wait = refuses(KEYS[6], right_pair, RETURNING - 1)
  if wait then
    give_back(KEYS[6], now, right_pair, window, 1)
    return no_guess('logins', wait)
  end
  return {'returning'}
end
if known then return {'known'} end
wait = refuses(KEYS[7], right_name, 1)
if wait then
  give_back(KEYS[5], now, right_address, window, 1)
  return no_guess('name_logins', wait)
end
return {'stranger'}
