-- Take from one limit, for whoever has no other errand in the cache.
--
-- KEYS: l:<limit>:<who>.  ARGV: quota, window ms, cost, 1 to fail where it can't be counted, else 0.
-- Answers {left, wait ms}, see limit.lua.
return take(KEYS[1], now_ms(), tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1')
