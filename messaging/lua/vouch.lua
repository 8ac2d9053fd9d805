-- The sweeper's word: up to which moment everything committed is in the cache, of which database
-- that is, and whether there is room for more. It needs no room itself: it replaces what was there.
--
-- ARGV: the generation and the database's identity as the sweeper found them here ('' for none),
--       then generation, moment (ms), since (µs), epoch, the database's mark and identity, 1 where
--       there is no room, else 0, then what is to be added to the counts of all sweepers: name,
--       number for each.
-- Writes no word and answers 0 when another sweeper has begun a new generation meanwhile, or when
-- the cache knows another database, or a further mark: what was compared is not what is vouched for.
for i = 10, #ARGV, 2 do redis.call('HINCRBY', 'ops:sweeps', ARGV[i], ARGV[i + 1]) end
local known = redis.call('HMGET', 'fresh', 'gen', 'db', 'mark')
if (known[1] or '') ~= ARGV[1] or (known[2] or '') ~= ARGV[2]
   or tonumber(known[3] or '0') > tonumber(ARGV[7]) then
  return 0
end
redis.call('HSET', 'fresh', 'gen', ARGV[3], 'ms', ARGV[4], 'since', ARGV[5], 'epoch', ARGV[6],
           'mark', ARGV[7], 'db', ARGV[8], 'full', ARGV[9])
return 1
