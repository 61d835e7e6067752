-- One call for one key: the state machine of package idempotency on a row that
-- row.go packs and unpacks the same way. Times are microseconds.
--
-- KEYS[1] the key of the row
-- ARGV    op, token, digest, ttl, lease, override, answer, about, skew
--
-- It returns a number and the row as it was found, or false: for a claim the
-- answer, for the other calls the state of its token, for get and delete 1 where
-- there is a row.

local GO, GO_UNCERTAIN, DUPLICATE, CONFLICT, BUSY, PARKED = 1, 2, 3, 4, 5, 6
local HELD, LOST = 1, 2
local CLAIMED, CONFIRMED, PARKED_STATE = 1, 2, 3
local OVER_CONFLICT, OVER_PARKED = 1, 2
local VERSION = 1
local LAYOUT = '>BBBc24c32I8I8I8I8I8I8'
local FORGET = 7 * 24 * 3600 * 1000000
local NOBODY = string.rep('\0', 24)

local op, token, digest = ARGV[1], ARGV[2], ARGV[3]
local ttl, lease, override = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local answer, about = ARGV[7], ARGV[8]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + tonumber(ARGV[9])
local kept = math.max(ttl, FORGET)

local raw = redis.call('GET', KEYS[1])
local row
if raw then
  local version = string.byte(raw, 1)
  if version ~= VERSION then
    return redis.error_reply('ROWVERSION ' .. tostring(version))
  end
  local _, state, uncertain, holder, content, claimed, confirmed, deadline, expires, had_lease, had_ttl, rest =
    struct.unpack(LAYOUT, raw)
  if now < expires then
    row = {state = state, uncertain = uncertain, token = holder, digest = content, claimed = claimed,
      confirmed = confirmed, deadline = deadline, expires = expires, lease = had_lease, ttl = had_ttl,
      rest = string.sub(raw, rest)}
  else
    raw = false
  end
end

local function write(r)
  local left = math.max(1, math.ceil((r.expires - now) / 1000))
  redis.call('SET', KEYS[1], struct.pack(LAYOUT, VERSION, r.state, r.uncertain, r.token, r.digest, r.claimed,
    r.confirmed, r.deadline, r.expires, r.lease, r.ttl) .. r.rest, 'PX', string.format('%d', left))
end

local function fresh(state, uncertain)
  return {state = state, uncertain = uncertain, token = token, digest = digest, claimed = now, confirmed = 0,
    deadline = 0, expires = 0, lease = lease, ttl = ttl, rest = string.char(#answer) .. answer .. about}
end

local function claim()
  local said = GO
  if row then
    if row.state == PARKED_STATE then
      if bit.band(override, OVER_PARKED) == 0 then return PARKED end
    elseif row.state == CONFIRMED then
      if row.digest == digest then return DUPLICATE end
      if bit.band(override, OVER_CONFLICT) == 0 then return CONFLICT end
    elseif row.token == token then
      if row.uncertain == 1 then said = GO_UNCERTAIN end
    elseif now >= row.deadline then
      said = GO_UNCERTAIN
    else
      return BUSY
    end
  end
  local r = fresh(CLAIMED, said == GO_UNCERTAIN and 1 or 0)
  r.deadline, r.expires = now + lease, now + kept
  write(r)
  return said
end

local function extend()
  if not row or row.token ~= token or row.state == PARKED_STATE then return LOST end
  if row.state == CLAIMED then
    row.deadline, row.expires = now + lease, now + kept
    write(row)
  end
  return HELD
end

local function confirm()
  if row and row.token ~= NOBODY and (row.token ~= token or row.state == PARKED_STATE) then return LOST end
  if row and row.state == CONFIRMED then return HELD end
  local r = fresh(CONFIRMED, 0)
  if row then r.claimed = row.claimed end
  r.confirmed, r.expires = now, now + ttl
  write(r)
  return HELD
end

local function release()
  if not row then return HELD end
  if row.token ~= token or row.state ~= CLAIMED then return LOST end
  if row.uncertain == 1 then
    row.token, row.deadline = NOBODY, now
    write(row)
  else
    redis.call('DEL', KEYS[1])
  end
  return HELD
end

local function park()
  if not row or row.token ~= token or row.state == CONFIRMED then return LOST end
  if row.state == CLAIMED then
    row.state, row.expires = PARKED_STATE, now + kept
    write(row)
  end
  return HELD
end

local function delete()
  redis.call('DEL', KEYS[1])
  return row and 1 or 0
end

local ops = {claim = claim, extend = extend, confirm = confirm, release = release, park = park, delete = delete,
  get = function() return row and 1 or 0 end}
return {ops[op](), raw}
