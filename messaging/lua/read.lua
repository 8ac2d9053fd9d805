-- The lines that the cache holds of some stretches of chats; a lease for each chat that it lacks.
--
-- ARGV: lease nonce, lease (ms), '1' to begin at the last seq or '' at the first, then number, first
--       seq, last seq, room (bytes) for each chat.
-- Answers {end or false, seq of the first line, line, ...} a chat, the lines in seq order. They end
-- with the one that no longer fits into the room. A line's own bytes are more than those of its
-- message by less than 512, or fewer: so nothing that fits is left out.
local PART = 8
local answer = {}
for i = 4, #ARGV, 4 do
  local n = ARGV[i]
  local last, bytes = unpack(redis.call('HMGET', 'c:' .. n, 'end', 'bytes'))
  local held = last and redis.call('LLEN', 'm:' .. n) or 0
  if held == 0 then
    redis.pcall('SET', 'cl:' .. n, ARGV[1], 'PX', ARGV[2])
    answer[#answer + 1] = {false, 0}
  else
    local oldest = tonumber(last) - held + 1
    local low = math.max(tonumber(ARGV[i + 1]), oldest)
    local high = math.min(tonumber(ARGV[i + 2]), tonumber(last))
    local room = tonumber(ARGV[i + 3])
    local lines, from = {}, low
    if (tonumber(bytes) or math.huge) <= room then
      -- Nearly always there is room for all that the list holds.
      if low <= high then
        lines = redis.call('LRANGE', 'm:' .. n, low - oldest, high - oldest)
      elseif ARGV[3] ~= '' then
        from = high + 1
      end
    elseif ARGV[3] == '' then
      while low <= high and room >= 0 do
        for _, line in ipairs(redis.call('LRANGE', 'm:' .. n, low - oldest,
                                         math.min(low + PART - 1, high) - oldest)) do
          if room < 0 then break end
          lines[#lines + 1] = line
          room = room - math.max(#line - 512, 1)
        end
        low = low + PART
      end
    else
      local back = {}
      while low <= high and room >= 0 do
        local part = redis.call('LRANGE', 'm:' .. n, math.max(high - PART + 1, low) - oldest,
                                high - oldest)
        for place = #part, 1, -1 do
          if room < 0 then break end
          back[#back + 1] = part[place]
          room = room - math.max(#part[place] - 512, 1)
        end
        high = high - PART
      end
      from = math.min(tonumber(ARGV[i + 2]), tonumber(last)) - #back + 1
      for place = #back, 1, -1 do lines[#lines + 1] = back[place] end
    end
    table.insert(lines, 1, string.format('%d', from))
    table.insert(lines, 1, last)
    answer[#answer + 1] = lines
  end
end
return answer
