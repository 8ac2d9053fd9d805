-- A page of a chat's history, as far as the cache can say: who calls, may they, and the lines.
--
-- KEYS: token, fresh. ARGV: token belief (ms), access belief (ms), chat_id, lease nonce, lease (ms).
-- Answers {'who'}; {'ask', user} when the user's view of the chat is not known here;
-- {'view', user, number, first_seq} when the chat's list is not; or
-- {'page', user, number, first_seq, start, end, line, ...} with the whole list.
local fresh = redis.call('HMGET', KEYS[2], 'gen', 'ms')
local now = now_ms()
local user = token_user(KEYS[1], fresh, now, tonumber(ARGV[1]))
if not user then return {'who'} end
local view = redis.call('HMGET', 'v:' .. user, '#g', '#ms', ARGV[3])
if not view[3] or not believed(fresh, view[1], view[2], now, tonumber(ARGV[2])) then
  return {'ask', user}
end
local n, first = string.match(view[3], '(%d+) (%d+)')
local chat = redis.call('HMGET', 'c:' .. n, 'start', 'end', 'at')
local lines = chat[2] and redis.call('LRANGE', 'm:' .. n, 0, -1) or {}
-- A list that ends before the last message told of misses some in between.
if #lines == 0 or not chat[1]
   or tonumber(string.sub(lines[#lines], 1, 16)) < tonumber(chat[3]) then
  redis.pcall('SET', 'cl:' .. n, ARGV[4], 'PX', ARGV[5])
  return {'view', user, n, first}
end
return {'page', user, n, first, chat[1], chat[2], unpack(lines)}
