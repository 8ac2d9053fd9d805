-- Take back what code.lua counted: the code was right.
--
-- KEYS and ARGV as for code.lua, then what it answered, and for how long (ms) the user is known at
-- the address from now on, 0 where the address is not to be known.
local now = now_ms()
local window = tonumber(ARGV[3])
give_back(KEYS[1], now, tonumber(ARGV[1]), window, 1)
give_back(KEYS[2], now, tonumber(ARGV[2]), window, 1)
if ARGV[6] == 'stranger' then
  give_back(KEYS[3], now, tonumber(ARGV[4]), tonumber(ARGV[5]), 1)
end
if tonumber(ARGV[7]) > 0 then redis.pcall('SET', KEYS[4], 1, 'PX', ARGV[7]) end
return 1
