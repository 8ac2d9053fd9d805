-- Replays prepared requests with wrk, and looks at every answer.
--
-- Arguments: file, threads, status, needle, how often the needle must occur (0: any number, at
-- least once), tier or '-', a text of 8 characters that makes the client_ids of this run unique.
-- A line of the file is method, path, token and body, separated by tabs. CLIENT_ID_PLACEHOLDE
-- (20 characters of a body) becomes a client_id of its own for each request.

local PLACEHOLDER = 'CLIENT_ID_PLACEHOLDE'
local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
  thread:set('id', #threads)
end

function init(args)
  status, needle, times, tier, run = tonumber(args[3]), args[4], tonumber(args[5]), args[6], args[7]
  bad, elsewhere, first = 0, 0, ''
  heads, tails, place, sent = {}, {}, 0, 0
  local number = 0
  for line in io.lines(args[1]) do
    number = number + 1
    if number % tonumber(args[2]) == id % tonumber(args[2]) then
      local method, path, token, body = line:match('^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$')
      local headers = {}
      if token ~= '' then headers['Authorization'] = 'Bearer ' .. token end
      if body ~= '' then headers['Content-Type'] = 'application/json' end
      local whole = wrk.format(method, path, headers, body ~= '' and body or nil)
      local from, to = whole:find(PLACEHOLDER, 1, true)
      heads[#heads + 1] = from and whole:sub(1, from - 1) or whole
      tails[#heads] = from and whole:sub(to + 1) or false
    end
  end
  count = #heads
end

function request()
  place = place % count + 1
  if not tails[place] then return heads[place] end
  sent = sent + 1
  return heads[place] .. string.format('%s%02d%010d', run, id, sent) .. tails[place]
end

local function sound(code, body)
  if code ~= status then return false end
  local found, from = 0, 1
  while true do
    local at, to = body:find(needle, from, true)
    if not at then break end
    found, from = found + 1, to + 1
    if times == 0 then return true end
  end
  return found == times
end

function response(code, headers, body)
  if not sound(code, body) then
    bad = bad + 1
    if first == '' then first = code .. ' ' .. body:sub(1, 300):gsub('%s', ' ') end
  elseif tier ~= '-' and headers['x-served-from'] ~= tier then
    elsewhere = elsewhere + 1
  end
end

function done(summary, latency, requests)
  local wrong, away, example = 0, 0, ''
  for _, thread in ipairs(threads) do
    wrong, away = wrong + thread:get('bad'), away + thread:get('elsewhere')
    if example == '' then example = thread:get('first') end
  end
  local errors = summary.errors
  io.write(string.format(
    'RESULT\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, wrong, away, example))
end
