-- The lines that the cache holds of some chats, whole lists; a lease for each that it lacks.
--
-- ARGV: lease nonce, lease (ms), then the chats' numbers. Answers {end or false, line, ...} a chat.
local answer = {}
for i = 3, #ARGV do
  local last = redis.call('HGET', 'c:' .. ARGV[i], 'end')
  local lines = last and redis.call('LRANGE', 'm:' .. ARGV[i], 0, -1) or {}
  if #lines == 0 then
    last = false
    redis.pcall('SET', 'cl:' .. ARGV[i], ARGV[1], 'PX', ARGV[2])
  end
  table.insert(lines, 1, last)
  answer[#answer + 1] = lines
end
return answer
