-- Looks at some of the cache's keys for what may be given up for room.
--
-- ARGV: where to go on (0 at first), how many keys to look at. Answers the next place (0 at the
-- end), then key, ms that it has left to live, ... Each lives as long after its last use as any
-- other, so that what has least left was used longest ago.
local found = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local answer = {found[1]}
for _, key in ipairs(found[2]) do
  if string.find(key, '^[acimvw]:') then
    answer[#answer + 1] = key
    answer[#answer + 1] = redis.call('PTTL', key)
  end
end
return answer
