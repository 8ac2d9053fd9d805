-- Take back what guess.lua counted: the attempt did not fail.
--
-- KEYS and ARGV as for guess.lua, then 'known' or 'stranger' as it answered, and for how long (ms)
-- the name is known at the address from now on, 0 when the attempt came to nothing.
local now = now_ms()
local window = tonumber(ARGV[4])
give_back(KEYS[1], now, tonumber(ARGV[1]), window, 1)
give_back(KEYS[2], now, tonumber(ARGV[2]), window, 1)
if ARGV[5] == 'stranger' then give_back(KEYS[3], now, tonumber(ARGV[3]), window, 1) end
if tonumber(ARGV[6]) > 0 and tonumber(ARGV[2]) > 0 then
  redis.pcall('SET', KEYS[4], 1, 'PX', ARGV[6])
end
return 1
