-- Take from `touched` the notes that are in the rows now: those that still say what was saved.
--
-- KEYS: touched.  ARGV: digest, ms, digest, ms …
--
-- A use that was noted meanwhile has another value and stays for the next run, and so does
-- everything when the task dies before this: nothing is lost, whoever runs at once.

for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
