-- May what the cache says be believed?
--
-- The sweeper writes, every second or two, the hash `fresh`: `gen`, the generation of the cache's
-- contents, and `ms`, the moment (cache clock) up to which every commit of the database is in the
-- cache. An entry is believed while the sweeper is on time and the entry is of its generation, or
-- while the entry itself was read from the database a moment ago. So a send or a revocation whose
-- process died before it told the cache, a cache that came back with old contents and a sweeper
-- that is away all end the same way: the reader asks the database.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- fresh: the sweeper's {gen, ms}; gen, filled: the entry's own; bound: milliseconds.
local function believed(fresh, gen, filled, now, bound)
  -- A moment in the future is one of a clock that was set back: as good as none.
  local function within(moment)
    local age = now - tonumber(moment)
    return age >= -bound and age <= bound
  end
  return (fresh[1] and fresh[2] and gen == fresh[1] and within(fresh[2]))
    or (filled and within(filled)) or false
end
