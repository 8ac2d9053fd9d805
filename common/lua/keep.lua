-- Keep a value that can be had again, where there is room for it.
--
-- KEYS: the key.  ARGV: the value, for how many seconds. Answers 1, or 0 where there is no room.
if not room() then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
