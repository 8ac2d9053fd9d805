-- A page of a chat's history, as far as the cache can say: who calls, may they, and the lines.
--
-- KEYS: token, fresh. ARGV: token belief (ms), access belief (ms), chat_id, before or '', after or '',
--       limit, room (bytes), then the rate limit's name, quota and window (ms).
-- Answers {'who'}, and nothing is counted; or, each with the user, the signature of their token's
-- entry and what is left of the limit:
-- {'often', ...} when there is nothing left; {'ask', ...} when the database must be asked, since the
-- user's view of the chat or the chat's list is not known here; or
-- {'page', ..., number, first_seq, start, end, seq of the first line, line, ...} with what the list
-- holds of the page, which may be nothing: the lines nearest to where it was asked from, up to the
-- one that no longer fits into the room (see poll.lua).
local fresh = redis.call('HMGET', KEYS[2], 'gen', 'ms')
local now = now_ms()
local user, signature = token_user(KEYS[1], fresh, now, tonumber(ARGV[1]))
if not user then return {'who'} end
local left = take('l:' .. ARGV[8] .. ':' .. user, now, tonumber(ARGV[9]), tonumber(ARGV[10]), 1)
local who = user .. signature
if left and left[1] < 0 then return {'often', who, left} end
local view = redis.call('HMGET', 'v:' .. user, '#g', '#ms', ARGV[3])
if not view[3] or not believed(fresh, view[1], view[2], now, tonumber(ARGV[2])) then
  return {'ask', who, left}
end
local n, first = string.match(view[3], '(%d+) (%d+)')
local chat = redis.call('HMGET', 'c:' .. n, 'start', 'end', 'at', 'bytes')
local lines = chat[2] and redis.call('LRANGE', 'm:' .. n, 0, -1) or {}
-- A list that ends before the last message told of misses some in between.
if #lines == 0 or not chat[1]
   or tonumber(string.sub(lines[#lines], 1, 16)) < tonumber(chat[3]) then
  return {'ask', who, left}
end
local oldest = tonumber(chat[2]) - #lines + 1
local before, after, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local low, high = oldest, tonumber(chat[2])
if after then
  low = math.max(low, after + 1)
  high = math.min(high, after + limit)
else
  if before then high = math.min(high, before - 1) end
  low = math.max(low, high - limit + 1)
end
local mark = '|' .. user .. '|'
for i = 1, #lines do
  -- Their own coming or going: only the database knows their stretches.
  if string.sub(lines[i], 17, 16 + #mark) == mark then return {'ask', who, left} end
end
local room = tonumber(ARGV[7])
-- Nearly always there is room for all that the list holds.
if (tonumber(chat[4]) or math.huge) > room then
  local from, to, step = high, low, -1
  if after then from, to, step = low, high, 1 end
  for seq = from, to, step do
    if room < 0 then
      if after then high = seq - 1 else low = seq + 1 end
      break
    end
    room = room - math.max(#lines[seq - oldest + 1] - 512, 1)
  end
end
local answer = {'page', who, left, n, first, chat[1], chat[2], string.format('%d', low)}
for seq = low, high do answer[#answer + 1] = lines[seq - oldest + 1] end
return answer
