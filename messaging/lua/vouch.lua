-- The sweeper's word: up to which moment everything committed is in the cache, and whether there is
-- room for more. It needs no room itself: it replaces what was there.
--
-- ARGV: generation, moment (ms), since (µs), epoch, 1 where there is no room, else 0, then what is
--       to be added to the counts of all sweepers: name, number for each.
redis.call('HSET', 'fresh', 'gen', ARGV[1], 'ms', ARGV[2], 'since', ARGV[3], 'epoch', ARGV[4],
           'full', ARGV[5])
for i = 6, #ARGV, 2 do redis.call('HINCRBY', 'ops:sweeps', ARGV[i], ARGV[i + 1]) end
return 1
