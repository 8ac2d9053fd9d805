-- Tells the cache of one message that is committed; harmless when told twice, late or out of order.
--
-- ARGV: number, chat_id, seq, time (µs), line, most lines (X), most bytes of
--       them, life (s), "user first_seq,..." to
--       tell, "user,..." whose index is to be forgotten (their membership changed),
--       then pairs for the chat's hash (only for the first message of a chat).
-- Afterwards `at` of the chat and the score in each told user's index are at least the message's
-- time, the list either ends with the message or a later one or is gone, and no reader who began
-- before can fill what it read (its lease is gone). Where there is no room, what it would have to
-- make longer is deleted instead.
local n, id, seq, at = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local chat, list = 'c:' .. n, 'm:' .. n
local life = ARGV[8]

local had = redis.call('HMGET', chat, 'end', 'at', 'told', 'bytes')
local full = not room()
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then full = true end
  return reply
end
redis.call('DEL', 'cl:' .. n)
-- `told` is what the sweeper goes by: readers write `at` too, and they tell nobody.
if not full and (not had[3] or tonumber(had[3]) < at) then
  if not had[2] or tonumber(had[2]) < at then
    try('HSET', chat, 'told', ARGV[4], 'at', ARGV[4])
  else
    try('HSET', chat, 'told', ARGV[4])
  end
end
if full then
  redis.call('DEL', list)
elseif had[1] then
  local last = tonumber(had[1])
  local early = 'w:' .. n
  if seq == last + 1 then
    local line, length, bytes = ARGV[5], 0, tonumber(had[4]) or 0
    repeat
      length = try('RPUSH', list, line)
      -- A list that was gone begins anew.
      bytes = #line + (length == 1 and 0 or bytes)
      line = redis.call('HGET', early, int(seq + 1))
      if line then
        seq = seq + 1
        redis.call('HDEL', early, int(seq))
      end
    until full or not line
    if not full then
      local most, most_bytes = tonumber(ARGV[6]), tonumber(ARGV[7])
      while length > most or (bytes > most_bytes and length > 1) do
        bytes = bytes - #redis.call('LPOP', list)
        length = length - 1
      end
      try('HSET', chat, 'end', int(seq), 'bytes', int(bytes))
    end
  elseif seq > last + 1 and seq <= last + 64 then
    -- Its predecessor is committed but still on its way here: keep it for a moment.
    try('HSET', early, ARGV[3], ARGV[5])
    redis.call('EXPIRE', early, 10)
  elseif seq > last + 1 then
    redis.call('HDEL', chat, 'end')
    redis.call('DEL', list)
  end
elseif seq == 1 and #ARGV > 10 then
  redis.call('DEL', list)
  try('RPUSH', list, ARGV[5])
  try('HSET', chat, 'id', id, 'end', '1', 'bytes', #ARGV[5], unpack(ARGV, 11))
end
if full then redis.call('DEL', chat, list, 'w:' .. n) else
  redis.call('EXPIRE', chat, life)
  redis.call('EXPIRE', list, life)
end

-- Keeps an index that only ever grows from growing for ever: of more than 256 chats those that are
-- no longer active go, and the floor says so.
local function shorten(user, index)
  local size = redis.call('ZCARD', index)
  if size <= 256 then return end
  local old = redis.call('ZRANGE', index, 1, size - 257, 'WITHSCORES')
  local before = at - tonumber(life) * 1000000
  local floor
  for i = 1, #old, 2 do
    if tonumber(old[i + 1]) >= before then break end
    redis.call('ZREM', index, old[i])
    floor = old[i + 1]
  end
  if floor then redis.pcall('HSET', 'v:' .. user, '#f', int(tonumber(floor))) end
end

for user, first in string.gmatch(ARGV[9], '(%x[%x-]+) (%d+)') do
  local index = 'i:' .. user
  -- Also where there is an index: a reader may be about to write it anew with what it read before.
  redis.call('DEL', 'il:' .. user)
  if full and not redis.call('ZSCORE', index, n) then
    redis.call('DEL', index, 'v:' .. user)
  elseif redis.call('EXISTS', index) == 1 then
    local reply = redis.pcall('ZADD', index, 'GT', ARGV[4], n)
    if reply == 1 then
      reply = redis.pcall('HSET', 'v:' .. user, id, n .. ' ' .. first)
      shorten(user, index)
    end
    if type(reply) == 'table' and reply.err then redis.call('DEL', index, 'v:' .. user) end
  end
end
if ARGV[10] ~= '' then
  -- So that the sweeper need not forget them again.
  redis.pcall('SET', 'x:' .. n .. ':' .. ARGV[3], 1, 'PX', 120000)
end
for user in string.gmatch(ARGV[10], '%x[%x-]+') do
  redis.call('DEL', 'i:' .. user, 'v:' .. user, 'il:' .. user)
end
return 1
