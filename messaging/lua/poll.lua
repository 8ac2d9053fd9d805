-- One poll, whole: who calls, whether anything is new to them, and the new messages.
--
-- KEYS: token, fresh. ARGV: token belief (ms), index belief (ms), lease nonce, lease (ms),
--       index life (s), cursor's user and its signature, cursor's epoch, cursor's time (µs), most messages,
--       room (bytes), the limit's name, quota and window (ms), then number, position (µs) for each chat in the
--       cursor's map.
-- Answers {'who'} when the token is not known here; {'other', user} when the cursor is another's; else what is left of the limit, which this poll took from, is third:
-- {'often', user, left} when it may not go on; {'ask', user, left, now, why} when the database must
-- be asked, or {'refill', user, left, now, why} when in addition the index is to be filled, for
-- which a lease is set; {'idle', user, left};
-- {'news', user, left, frontier, chat, chat, ...} with chat = {number, id, kind, start, end, name,
-- seq of the first line, line, ...}. They are all the news where frontier is ''; else there was no
-- room for more: what is not among them is dated after the frontier, and in each chat after its last
-- line. A line's own bytes are more than those of its message by less than 512, or fewer.
-- Never answers idle or news from an entry that is not believed or not complete.
local fresh = redis.call('HMGET', KEYS[2], 'gen', 'ms')
local now = now_ms()
local user, signature = token_user(KEYS[1], fresh, now, tonumber(ARGV[1]))
if not user then return {'who'} end
if ARGV[6] ~= user .. signature then return {'other', user} end
local left = take('l:' .. ARGV[11] .. ':' .. user, now, tonumber(ARGV[12]), tonumber(ARGV[13]), 1)
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
for i = 14, #ARGV, 2 do position[ARGV[i]] = tonumber(ARGV[i + 1]) end

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

local answer = {'news', user, left, ''}
local most, room = tonumber(ARGV[9]), tonumber(ARGV[10])
local frontier
local function moment_of(line) return tonumber(string.sub(line, 1, 16)) end
for _, entry in ipairs(news) do
  local n, at = entry[1], entry[2]
  local told = position[n] or from
  if room < 0 then
    -- The rest is the next answer's, and is not even read.
    frontier = math.min(frontier or told, told)
  else
    local c = redis.call('HMGET', 'c:' .. n, 'id', 'kind', 'start', 'end', 'name', 'name:' .. user)
    local name = c[5] or c[6]
    local place = c[1] and redis.call('HGET', view, c[1])
    if not (c[4] and name and place) then return {'ask', user, left, int(now), 'chat'} end
    local first, last = tonumber(string.match(place, ' (%d+)')), tonumber(c[4])
    local lower = math.max(first, tonumber(c[3]))
    -- The last few lines nearly always hold all the news. `back` has the newest first.
    local back, part = {}, 4
    repeat
      local got = redis.call('LRANGE', 'm:' .. n, -#back - part, -#back - 1)
      for i = #got, 1, -1 do back[#back + 1] = got[i] end
      local more = #got == part and moment_of(got[1]) > told
      part = part * 2
    until not more
    local seq = last - #back + 1
    if #back == 0 or moment_of(back[1]) < at
       or (moment_of(back[#back]) > told and seq > lower) then
      return {'ask', user, left, int(now), 'lines'}
    end
    -- Who has just joined may have an earlier stretch with news of its own.
    if first > 1 and first >= seq then
      local join = back[last - first + 1]
      if not join or moment_of(join) > told then
        return {'ask', user, left, int(now), 'joined'}
      end
    end
    local chat = {n, c[1], c[2], int(lower), c[4], name, false}
    local given
    for i = #back, 1, -1 do
      local moment = moment_of(back[i])
      if moment > told and moment <= at and last - i + 1 >= first then
        if room < 0 then
          frontier = math.min(frontier or given, given)
          break
        end
        chat[7] = chat[7] or int(last - i + 1)
        chat[#chat + 1] = back[i]
        given = moment
        most = most - 1
        room = room - math.max(#back[i] - 512, 1)
      end
    end
    if not chat[7] then return {'ask', user, left, int(now), 'lines'} end
    if most < 0 then return {'ask', user, left, int(now), 'many'} end
    answer[#answer + 1] = chat
  end
end
if frontier then answer[4] = int(frontier) end
return answer
