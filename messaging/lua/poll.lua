-- One poll, whole: who calls, whether anything is new to them, and the new messages.
--
-- KEYS: token, fresh. ARGV: token belief (ms), index belief (ms), lease nonce, lease (ms),
--       index life (s), cursor's user or '', cursor's epoch, cursor's time (µs), most messages,
--       the limit's name, quota and window (ms), then number, position (µs) for each chat in the
--       cursor's map.
-- Answers {'who'} when the token is not known here; {'other', user} when the cursor is another's; else what is left of the limit, which this poll took from, is third:
-- {'often', user, left} when it may not go on; {'ask', user, left, now, why} when the database must
-- be asked, or {'refill', user, left, now, why} when in addition the index is to be filled, for
-- which a lease is set; {'idle', user, left};
-- {'news', user, left, chat, chat, ...} with chat = {number, id, kind, start, end, name, seq of the
-- first line, line, ...}.
-- Never answers idle or news from an entry that is not believed or not complete.
local fresh = redis.call('HMGET', KEYS[2], 'gen', 'ms')
local now = now_ms()
local user = token_user(KEYS[1], fresh, now, tonumber(ARGV[1]))
if not user then return {'who'} end
if ARGV[6] ~= user then return {'other', user} end
local left = take('l:' .. ARGV[10] .. ':' .. user, now, tonumber(ARGV[11]), tonumber(ARGV[12]), 1)
if left and left[1] < 0 then return {'often', user, left} end

local index, view = 'i:' .. user, 'v:' .. user
-- The index can't answer and is to be filled anew by whoever asks.
local function refill(why)
  redis.pcall('SET', 'il:' .. user, ARGV[3], 'PX', ARGV[4])
  return {'refill', user, left, int(now), why}
end
local about = redis.call('HMGET', view, '#g', '#ms', '#e', '#f', '#w')
if not about[2] or redis.call('EXISTS', index) == 0
   or not believed(fresh, about[1], about[2], now, tonumber(ARGV[2])) then
  return refill('missing')
end
redis.call('EXPIRE', index, ARGV[5])
redis.call('EXPIRE', view, ARGV[5])
if about[3] ~= ARGV[7] then return refill('epoch') end
local from = tonumber(ARGV[8])
if from < tonumber(about[4]) then return {'ask', user, left, int(now), 'old'} end

local position = {}
for i = 13, #ARGV, 2 do position[ARGV[i]] = tonumber(ARGV[i + 1]) end

-- Chats with something later than the position: {number, told up to}.
local news = {}
local recent = redis.call('ZRANGEBYSCORE', index, '(' .. ARGV[8], '+inf', 'WITHSCORES')
for i = 1, #recent, 2 do
  local at = tonumber(recent[i + 1])
  if at > (position[recent[i]] or from) then news[#news + 1] = {recent[i], at} end
end
if about[5] then
  for n in string.gmatch(about[5], '%d+') do
    local at = redis.call('HGET', 'c:' .. n, 'at')
    if not at then return refill('wide') end
    at = tonumber(at)
    if at > (position[n] or from) then news[#news + 1] = {n, at} end
  end
end
if #news == 0 then return {'idle', user, left} end

local answer = {'news', user, left}
local most = tonumber(ARGV[9])
for _, entry in ipairs(news) do
  local n, at = entry[1], entry[2]
  local told = position[n] or from
  local c = redis.call('HMGET', 'c:' .. n, 'id', 'kind', 'start', 'end', 'name', 'name:' .. user)
  local name = c[5] or c[6]
  local place = c[1] and redis.call('HGET', view, c[1])
  if not (c[4] and name and place) then return {'ask', user, left, int(now), 'chat'} end
  local first = tonumber(string.match(place, ' (%d+)'))
  local lower = math.max(first, tonumber(c[3]))
  -- The last few lines nearly always hold all the news; else all of them.
  local lines = redis.call('LRANGE', 'm:' .. n, -4, -1)
  if #lines == 4 and tonumber(string.sub(lines[1], 1, 16)) > told then
    lines = redis.call('LRANGE', 'm:' .. n, 0, -1)
  end
  local seq = tonumber(c[4]) - #lines + 1
  if #lines == 0 or tonumber(string.sub(lines[#lines], 1, 16)) < at
     or (tonumber(string.sub(lines[1], 1, 16)) > told and seq > lower) then
    return {'ask', user, left, int(now), 'lines'}
  end
  -- Who has just joined may have an earlier stretch with news of its own.
  if first > 1 and first >= seq then
    local join = lines[first - seq + 1]
    if not join or tonumber(string.sub(join, 1, 16)) > told then
      return {'ask', user, left, int(now), 'joined'}
    end
  end
  local chat = {n, c[1], c[2], int(lower), c[4], name, false}
  for i = 1, #lines do
    local moment = tonumber(string.sub(lines[i], 1, 16))
    if moment > told and moment <= at and seq + i - 1 >= first then
      chat[7] = chat[7] or int(seq + i - 1)
      chat[#chat + 1] = lines[i]
      most = most - 1
    end
  end
  if not chat[7] then return {'ask', user, left, int(now), 'lines'} end
  if most < 0 then return {'ask', user, left, int(now), 'many'} end
  answer[#answer + 1] = chat
end
return answer
