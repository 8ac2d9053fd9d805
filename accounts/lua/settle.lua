-- Take back what guess.lua counted and the attempt was not.
--
-- KEYS and the first seven of ARGV as for guess.lua, then what it answered, what the attempt was
-- ('right', 'wrong', or '' for neither), and for how long (ms) a name that was right is known at
-- the address from now on.
local RETURNING = 5
local now = now_ms()
local window = tonumber(ARGV[7])
local standing, came_out = ARGV[8], ARGV[9]

if came_out ~= 'wrong' then
  give_back(KEYS[1], now, tonumber(ARGV[1]), window, 1)
  give_back(KEYS[2], now, tonumber(ARGV[2]), window, 1)
  if standing == 'stranger' then give_back(KEYS[3], now, tonumber(ARGV[3]), window, 1) end
end
if came_out ~= 'right' then
  local cost = standing == 'returning' and RETURNING or 1
  give_back(KEYS[6], now, tonumber(ARGV[5]), window, cost)
  if standing ~= 'returning' then give_back(KEYS[5], now, tonumber(ARGV[4]), window, 1) end
  if standing == 'stranger' then give_back(KEYS[7], now, tonumber(ARGV[6]), window, 1) end
elseif tonumber(ARGV[2]) > 0 or tonumber(ARGV[5]) > 0 then
  redis.pcall('SET', KEYS[4], 1, 'PX', ARGV[10])
end
return 1
