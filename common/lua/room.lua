-- Is there room for more of what can be read again from elsewhere? Ask before a script's first write.
--
-- The rest of the cache is what everybody needs: tokens, limits, the queue. So this says no a good
-- while before the server is full, from the sweeper's word in `fresh` (messaging/eviction.py), and
-- when it is. The server itself holds up a script's first write alone, hence the one that writes
-- nothing.
local function room()
  local reply = redis.pcall('SETRANGE', 'room', 0, '')
  if type(reply) == 'table' and reply.err then return false end
  return redis.call('HGET', 'fresh', 'full') ~= '1'
end
