-- Confirms many keys, each of which is still claimed with its token; what else may
-- have become of a key is left to row.lua, whose rows these are.
--
-- KEYS    the keys of the rows
-- ARGV    ttl in microseconds, skew, then of each key: token, digest, and what comes
--         behind the times of its row
--
-- It returns the numbers of the keys that it left alone.

local CLAIMED = 1
local VERSION = 1
local HEAD = string.char(VERSION, 2, 0)

local clock = redis.call('TIME')
local now, ttl = clock[1] * 1000000 + clock[2] + ARGV[2], tonumber(ARGV[1])
local times = struct.pack('>I8I8I8', now, 0, now + ttl)
local left = string.format('%d', math.max(1, math.ceil(ttl / 1000)))
local others = {}
for i = 1, #KEYS do
  local found, at = redis.call('GET', KEYS[i]), 3 * i
  -- The token is at 4, claimed at 60, expires at 84.
  if found and string.byte(found, 1) == VERSION and string.byte(found, 2) == CLAIMED
    and string.sub(found, 4, 27) == ARGV[at] and now < struct.unpack('>I8', found, 84) then
    redis.call('SET', KEYS[i], HEAD .. ARGV[at] .. ARGV[at + 1] .. string.sub(found, 60, 67) .. times .. ARGV[at + 2],
      'PX', left)
  else
    others[#others + 1] = i
  end
end
return others
