-- How often may somebody do something? Shared by every script that counts; needs now_ms.
--
-- A limit is a key `l:<limit>:<who>` that holds one moment (ms, cache clock): when the whole quota
-- will be there again. Nothing is written for a refusal, and a key is gone when its quota is whole.
--
-- The formula is GCRA, the generic cell rate algorithm (ITU-T I.371, annex A, "virtual
-- scheduling"), with an emission interval of window / quota and a tolerance that lets a whole quota
-- go at once: so `quota` in any moment, and then one more each window / quota.

-- What is left after taking `cost`, and in how many ms one more will be there: {left, wait}.
-- Refused, nothing is taken: {-1, ms until it would not be}. False where there is no limit.
-- Scripts that count may write where the cache is full (common/cache.py). One that may not counts
-- nothing there, or with `must` fails.
local function take(key, now, quota, window, cost, must)
  if quota <= 0 then return false end
  local interval = window / quota
  local whole = tonumber(redis.call('GET', key)) or now
  -- Not before now, nor further than a quota can reach: a clock that was set back, a lower limit.
  whole = math.min(math.max(whole, now), now + window) + cost * interval
  local ahead = whole - now
  if ahead > window + 0.001 then return {-1, math.ceil(ahead - window)} end
  local run = must and redis.call or redis.pcall
  run('SET', key, string.format('%.3f', whole), 'PX', math.ceil(ahead))
  local left = math.floor((window - ahead) / interval + 0.001)
  local wait = math.ceil(interval - (window - ahead - left * interval) - 0.001)
  return {left, math.max(wait, 1)}
end

-- Give back what was taken.
local function give_back(key, now, quota, window, cost)
  local whole = tonumber(redis.call('GET', key))
  if not whole or quota <= 0 then return end
  whole = whole - cost * window / quota
  if whole <= now then
    redis.call('DEL', key)
  else
    redis.pcall('SET', key, string.format('%.3f', whole), 'PX', math.ceil(whole - now))
  end
end
