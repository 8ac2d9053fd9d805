-- May an entry that strangers cause be written now, or is it counted for the next?
--
-- KEYS: l:audit:all, audit:window:<action>:<address>, audit:held. ARGV: entries a minute of all
-- addresses, the window of one address (ms), what is counted, how many different ones are kept,
-- what the rest are counted as.
-- Answers 1 to write it, 0 when it was counted.
local now = now_ms()
if redis.call('EXISTS', KEYS[2]) == 0 then
  local left = take(KEYS[1], now, tonumber(ARGV[1]), 60000, 1, true)
  if not left or left[1] >= 0 then
    redis.call('SET', KEYS[2], 1, 'PX', ARGV[2])
    return 1
  end
end
local held = ARGV[3]
if redis.call('HEXISTS', KEYS[3], held) == 0 and redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[4]) then
  held = ARGV[5]
end
redis.call('HINCRBY', KEYS[3], held, 1)
return 0
