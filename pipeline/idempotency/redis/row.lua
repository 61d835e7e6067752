-- One call for one key: the state machine of package idempotency on a row that
-- row.go packs and unpacks the same way. Times are microseconds.
--
-- KEYS[1] the key of the row
-- ARGV    op, token, digest, ttl, lease, override, answer, about, skew, late
--
-- A key that is new is claimed without this script, by the SET that claim.go sends:
-- its row is marked PLAIN.
--
-- late is the time after which nobody waits for the answer of a claim any more,
-- empty for none: one that is read only then is refused, since it would keep the
-- key from everybody for a whole lease.
--
-- It returns a number and, for a claim and for get, the row as it was found, or
-- false: for a claim the answer, for the other calls the state of its token, for
-- get and delete 1 where there is a row.
--
-- Redis runs one script at a time, so that this one bounds how many keys there
-- are a second: it makes no function and no table that it can do without.

local GO, GO_UNCERTAIN, DUPLICATE, CONFLICT, BUSY, PARKED = 1, 2, 3, 4, 5, 6
local HELD, LOST = 1, 2
local CLAIMED, CONFIRMED, PARKED_STATE = 1, 2, 3
local OVER_CONFLICT, OVER_PARKED = 1, 2
local VERSION, PLAIN, ROUNDING = 1, 2, 3000
local LAYOUT = '>BBBc24c32I8I8I8I8I8I8'
local FORGET = 7 * 24 * 3600 * 1000000
local NOBODY = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

local op, token = ARGV[1], ARGV[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
if ARGV[10] ~= '' and now > tonumber(ARGV[10]) then return redis.error_reply('LATE ' .. string.format('%.0f', now)) end
now = now + ARGV[9]

-- The row as it was found; state is 0 where there is none.
local found = redis.call('GET', KEYS[1])
local state = 0
local version, uncertain, holder, digest, claimed, confirmed, deadline, expires, lease, ttl, rest
if found then
  if string.byte(found) ~= VERSION then
    return redis.error_reply('ROWVERSION ' .. string.byte(found))
  end
  version, state, uncertain, holder, digest, claimed, confirmed, deadline, expires, lease, ttl, rest =
    struct.unpack(LAYOUT, found)
  rest = string.sub(found, rest)
  if state == CLAIMED and uncertain == PLAIN then
    -- When Redis took it is what the end of the key's life tells. The row itself
    -- says no more than by when that had to be, since nobody waited any longer; one
    -- whose deadline is another was written again by an earlier release.
    uncertain = 0
    local ends, life = redis.pcall('PEXPIRETIME', KEYS[1]), math.max(ttl, FORGET)
    if type(ends) == 'number' and ends > 0 then
      local late = expires - life
      claimed = ends * 1000 - life
      expires = claimed + life
      if claimed > late + ROUNDING and deadline == late + lease then expires = 0 end
      deadline = math.min(deadline, claimed + lease)
      found = struct.pack(LAYOUT, version, state, uncertain, holder, digest, claimed, confirmed, deadline, expires, lease,
        ttl) .. rest
    end
  end
  if now >= expires then found, state = false, 0 end
end

local said, write = LOST, false

if op == 'claim' then
  said = GO
  local override = tonumber(ARGV[6])
  if state == PARKED_STATE then
    if bit.band(override, OVER_PARKED) == 0 then said = PARKED end
  elseif state == CONFIRMED then
    if digest == ARGV[3] then
      said = DUPLICATE
    elseif bit.band(override, OVER_CONFLICT) == 0 then
      said = CONFLICT
    end
  elseif state == CLAIMED then
    if holder == token then
      if uncertain == 1 then said = GO_UNCERTAIN end
    elseif now >= deadline then
      said = GO_UNCERTAIN
    else
      said = BUSY
      -- Longer than a lease: the clock went back since.
      if deadline > now + lease then deadline, write = now + lease, true end
    end
  end
  if said == GO or said == GO_UNCERTAIN then
    local answer = '\0'
    if state == CLAIMED then answer = string.sub(rest, 1, 1 + string.byte(rest)) end
    state, uncertain, holder, digest, claimed, confirmed = CLAIMED, said - GO, token, ARGV[3], now, 0
    ttl, lease = tonumber(ARGV[4]), tonumber(ARGV[5])
    deadline, expires = now + lease, now + math.max(ttl, FORGET)
    rest, write = answer .. ARGV[8], true
  end

elseif op == 'extend' then
  if holder == token and (state == CLAIMED or state == CONFIRMED) then
    said = HELD
    if state == CLAIMED then
      deadline, expires = now + tonumber(ARGV[5]), now + math.max(tonumber(ARGV[4]), FORGET)
      if ARGV[7] ~= '' then rest = string.char(#ARGV[7]) .. ARGV[7] .. string.sub(rest, 2 + string.byte(rest)) end
      write = true
    end
  end

elseif op == 'confirm' then
  if state == 0 or holder == NOBODY or (holder == token and state ~= PARKED_STATE) then
    said = HELD
    if state ~= CONFIRMED then
      if state == 0 then claimed = now end
      state, uncertain, holder, digest, confirmed, deadline = CONFIRMED, 0, token, ARGV[3], now, 0
      ttl, lease = tonumber(ARGV[4]), tonumber(ARGV[5])
      expires, write = now + ttl, true
      rest = string.char(#ARGV[7]) .. ARGV[7] .. ARGV[8]
    end
  end

elseif op == 'release' then
  if state == 0 then
    said = HELD
  elseif holder == token and state == CLAIMED then
    said = HELD
    if uncertain == 1 then
      holder, deadline, write = NOBODY, now, true
    else
      redis.call('DEL', KEYS[1])
    end
  end

elseif op == 'park' then
  if holder == token and (state == CLAIMED or state == PARKED_STATE) then
    said = HELD
    if state == CLAIMED then
      state, expires, write = PARKED_STATE, now + math.max(tonumber(ARGV[4]), FORGET), true
    end
  end

else -- get, delete
  said = found and 1 or 0
  if op == 'delete' then redis.call('DEL', KEYS[1]) end
end

if write then
  local left = math.max(1, math.ceil((expires - now) / 1000))
  redis.call('SET', KEYS[1], struct.pack(LAYOUT, VERSION, state, uncertain, holder, digest, claimed, confirmed,
    deadline, expires, lease, ttl) .. rest, 'PX', string.format('%d', left))
end
if op == 'claim' or op == 'get' then return {said, found} end
return {said, false}
