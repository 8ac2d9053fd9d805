-- Notes the mark of the database that is vouched for from the next beat on.
--
-- ARGV: the mark's number, the database's identity, the epoch.
redis.call('HSET', 'fresh', 'mark', ARGV[1], 'db', ARGV[2], 'epoch', ARGV[3])
return 1
