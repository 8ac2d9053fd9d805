-- Take away what an entry has been written of; what was counted meanwhile stays.
--
-- KEYS: audit:held. ARGV: pairs of what was counted and how often.
for place = 1, #ARGV, 2 do
  if redis.call('HINCRBY', KEYS[1], ARGV[place], -tonumber(ARGV[place + 1])) <= 0 then
    redis.call('HDEL', KEYS[1], ARGV[place])
  end
end
return 1
