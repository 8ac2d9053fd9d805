-- Fills one chat's list with lines read from the database, unless something changed meanwhile.
--
-- ARGV: number, lease nonce, time of the last line (µs), its seq, life (s), how many pairs for the
--       chat's hash, the pairs, then the lines. Writes only where the lease still stands, no later
--       message was told of, and there is room.
local n = ARGV[1]
local chat, list, lease = 'c:' .. n, 'm:' .. n, 'cl:' .. n
if redis.call('GET', lease) ~= ARGV[2] or not room() then return 0 end
local at = redis.call('HGET', chat, 'at')
if at and tonumber(at) > tonumber(ARGV[3]) then return 0 end
redis.call('DEL', list, lease)
local pairs_end = 6 + 2 * tonumber(ARGV[6])
local ok, failure = pcall(function()
  local bytes = 0
  for i = pairs_end + 1, #ARGV do
    redis.call('RPUSH', list, ARGV[i])
    bytes = bytes + #ARGV[i]
  end
  redis.call('HSET', chat, 'at', ARGV[3], 'end', ARGV[4], 'bytes', int(bytes),
             unpack(ARGV, 7, pairs_end))
end)
if not ok then
  redis.call('DEL', chat, list)
  return redis.error_reply(tostring(failure))
end
redis.call('EXPIRE', chat, ARGV[5])
redis.call('EXPIRE', list, ARGV[5])
return 1
