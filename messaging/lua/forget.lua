-- Forgets the indexes of users whose membership a message changed, and notes that it was done.
--
-- KEYS: x:<n>:<seq>.  ARGV: the users.
for i = 1, #ARGV do
  redis.call('DEL', 'i:' .. ARGV[i], 'v:' .. ARGV[i], 'il:' .. ARGV[i])
end
redis.call('SET', KEYS[1], 1, 'PX', 120000)
return #ARGV
