-- Fills a user's index with what was read from the database, unless something changed meanwhile.
--
-- ARGV: user, lease nonce, moment of the lease (ms), epoch, floor (µs), life (s), wide numbers,
--       how many chats, then number, time (µs), chat_id, first_seq for each chat of the set,
--       then number, time (µs), chat_id, first_seq for each wide chat. A chat that the user has left
--       has no first_seq: what is new there the database is asked for.
-- Writes only where the lease still stands (a message told of since then has removed it) and there
-- is room. A score may be later than what the database said, never earlier.
local user = ARGV[1]
local lease = 'il:' .. user
if redis.call('GET', lease) ~= ARGV[2] or not room() then return 0 end
local index, view = 'i:' .. user, 'v:' .. user
local gen = redis.call('HGET', 'fresh', 'gen') or ''
redis.call('DEL', index, view, lease)
local ok, failure = pcall(function()
  redis.call('ZADD', index, 0, '#')
  redis.call('HSET', view, '#g', gen, '#ms', ARGV[3], '#e', ARGV[4], '#f', ARGV[5], '#w', ARGV[7])
  local chats = tonumber(ARGV[8])
  for i = 9, #ARGV, 4 do
    if ARGV[i + 3] ~= '' then
      redis.call('HSET', view, ARGV[i + 2], ARGV[i] .. ' ' .. ARGV[i + 3])
    end
    local chat = 'c:' .. ARGV[i]
    local at = redis.call('HGET', chat, 'at')
    if at and tonumber(at) < tonumber(ARGV[i + 1]) then
      -- The cache missed a message, as when it came back with old contents: its list is behind.
      redis.call('DEL', chat, 'm:' .. ARGV[i], 'w:' .. ARGV[i])
      at = false
    end
    if chats > 0 then
      redis.call('ZADD', index, ARGV[i + 1], ARGV[i])
      chats = chats - 1
    elseif not at then
      redis.call('HSET', chat, 'at', ARGV[i + 1])
      redis.call('EXPIRE', chat, ARGV[6])
    end
  end
end)
if not ok then
  redis.call('DEL', index, view)
  return redis.error_reply(tostring(failure))
end
redis.call('EXPIRE', index, ARGV[6])
redis.call('EXPIRE', view, ARGV[6])
return 1
