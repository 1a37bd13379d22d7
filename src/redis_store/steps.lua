-- The steps of the session store. Each runs alone on the primary, and so is atomic.
--
-- Before this stand the constants TOLERANCE and GRACE (milliseconds), MOST_SESSIONS, MOST_REVOCATIONS and BATCH.
-- KEYS[1] is `{prefix}:time`; all keys have its hash tag. ARGV: the step, the caller's time, the latest time that the
-- caller saw (milliseconds since the Unix epoch), and what the step needs. The answer: the time by which was judged, the
-- names of the records that were replaced or deleted, and what the step says.

local P = string.sub(KEYS[1], 1, -5)
local step, now, seen = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local judged, changed, dirty = 0, {}, false

local function digits(number)
  return string.format('%.0f', number)
end

-- Compares bytes: the order of Lua depends on the locale of the server.
local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function hashes(joined)
  local list = {}
  for i = 1, #joined, 32 do list[#list + 1] = string.sub(joined, i, i + 31) end
  return list
end

local function delete(name)
  local indexes = redis.call('HGET', P .. 's:' .. name, 'indexes')
  local existed = redis.call('DEL', P .. 'r:' .. name, P .. 's:' .. name) > 0
  redis.call('ZREM', P .. 'expiry', name)
  for _, key in ipairs(hashes(indexes or '')) do redis.call('ZREM', P .. 'i:' .. key, name) end
  changed[#changed + 1] = name
  dirty = true
  return existed
end

-- When a session expires. One that has expired, or of which a part is missing, is deleted at first sight.
local function live(name)
  local expires = redis.call('HGET', P .. 's:' .. name, 'expires')
  local whole = redis.call('EXISTS', P .. 'r:' .. name) == 1
  if expires and whole and tonumber(expires) > judged then return expires end
  if expires or whole then delete(name) end
  return nil
end

-- The sessions in an index, the oldest first.
local function in_index(joined)
  local found = {}
  for _, key in ipairs(hashes(joined)) do
    local entries = redis.call('ZRANGE', P .. 'i:' .. key, 0, -1, 'WITHSCORES')
    for i = 1, #entries, 2 do
      local name = entries[i]
      if live(name) then
        found[#found + 1] = { name, tonumber(entries[i + 1]) }
      else
        redis.call('ZREM', P .. 'i:' .. key, name)
      end
    end
  end
  table.sort(found, function(a, b)
    if a[2] ~= b[2] then return a[2] < b[2] end
    return less(a[1], b[1])
  end)
  local names = {}
  for i, entry in ipairs(found) do names[i] = entry[1] end
  return names
end

local function expired(by, most)
  return redis.call('ZRANGEBYSCORE', P .. 'expiry', '-inf', digits(by), 'LIMIT', 0, most)
end

local steps = {}

function steps.get()
  local name = ARGV[4]
  if not live(name) then return false end
  local record = redis.call('HMGET', P .. 'r:' .. name, 'sealed', 'version')
  local state = redis.call('HMGET', P .. 's:' .. name, 'listing', 'expires')
  return { record[1], record[2], state[1], state[2] }
end

function steps.insert()
  local name, sealed, listing, created, expires, began = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])
  local subject, searched, stored = ARGV[10], ARGV[11], ARGV[12]
  for _, key in ipairs(hashes(searched)) do
    local not_before = redis.call('HGET', P .. 'l:' .. key, 'not_before')
    if not_before and tonumber(not_before) >= began then return { 'logged_out' } end
  end
  if live(name) then return { 'name_taken' } end
  local others, ended = in_index(subject), { 'stored' }
  for i = 1, #others + 1 - MOST_SESSIONS do ended[#ended + 1] = others[i] end
  -- First what a full server refuses: then nothing is done by halves.
  redis.call('HSET', P .. 'r:' .. name, 'sealed', sealed, 'version', 1)
  redis.call('HSET', P .. 's:' .. name, 'listing', listing, 'expires', expires, 'indexes', stored)
  redis.call('ZADD', P .. 'expiry', expires, name)
  for _, key in ipairs(hashes(stored)) do redis.call('ZADD', P .. 'i:' .. key, created, name) end
  for i = 2, #ended do delete(ended[i]) end
  dirty = true
  return ended
end

function steps.replace()
  local name, version, sealed, expires = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
  if not live(name) then return 'gone' end
  if redis.call('HGET', P .. 'r:' .. name, 'version') ~= version then return 'stale' end
  redis.call('HSET', P .. 'r:' .. name, 'sealed', sealed)
  redis.call('HINCRBY', P .. 'r:' .. name, 'version', 1)
  redis.call('HSET', P .. 's:' .. name, 'expires', expires)
  redis.call('ZADD', P .. 'expiry', expires, name)
  changed[#changed + 1] = name
  dirty = true
  return 'done'
end

function steps.touch()
  local name, listing, expires = ARGV[4], ARGV[5], ARGV[6]
  if not live(name) then return 0 end
  redis.call('HSET', P .. 's:' .. name, 'listing', listing, 'expires', expires)
  redis.call('ZADD', P .. 'expiry', expires, name)
  dirty = true
  return 1
end

function steps.remove()
  local name = ARGV[4]
  if live(name) and delete(name) then return 1 end
  return 0
end

function steps.list()
  local listed = {}
  for _, name in ipairs(in_index(ARGV[4])) do
    listed[#listed + 1] = name
    listed[#listed + 1] = redis.call('HGET', P .. 's:' .. name, 'listing')
  end
  return listed
end

function steps.end_all()
  local searched, not_before, end_of_mark = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]) + GRACE
  local names = in_index(searched)
  -- Deleting first: a full server refuses a mark, but nothing that is deleted.
  for _, name in ipairs(names) do delete(name) end
  dirty = true
  for _, key in ipairs(hashes(searched)) do
    local earlier = redis.call('HMGET', P .. 'l:' .. key, 'not_before', 'end')
    local before = math.max(not_before, tonumber(earlier[1] or '0'))
    local ends = math.max(end_of_mark, tonumber(earlier[2] or '0'))
    redis.call('HSET', P .. 'l:' .. key, 'not_before', digits(before), 'end', digits(ends))
    redis.call('ZADD', P .. 'marks', digits(ends), 'l:' .. key)
  end
  return names
end

local function spent_of(marks)
  for _, key in ipairs(marks) do
    if redis.call('EXISTS', P .. 'm:' .. key) == 1 then return P .. 'm:' .. key end
  end
  return nil
end

local function spend(marks, ends)
  for _, key in ipairs(marks) do
    redis.call('SET', P .. 'm:' .. key, 1)
    redis.call('ZADD', P .. 'marks', digits(ends), 'm:' .. key)
  end
  dirty = true
end

function steps.end_all_once()
  local marks, ends = hashes(ARGV[7]), tonumber(ARGV[6]) + GRACE
  local spent = spent_of(marks)
  if spent then
    -- Whoever did this may not have seen it replicated. What is written once more is waited for, and with it all that
    -- was written before; deleting first, since a full server refuses nothing that follows.
    redis.call('DEL', spent)
    redis.call('SET', spent, 1)
    dirty = true
    return false
  end
  local names = steps.end_all()
  spend(marks, ends)
  return names
end

function steps.spend()
  local marks = hashes(ARGV[4])
  if spent_of(marks) then return 0 end
  spend(marks, tonumber(ARGV[5]) + GRACE)
  return 1
end

-- The holder of a lease that has not expired. One that was taken at a later time than now is of another time: the clock
-- stepped back.
local function holder(key)
  local lease = redis.call('HMGET', P .. 'h:' .. key, 'holder', 'until', 'taken')
  if not lease[1] then return nil end
  if tonumber(lease[2]) > judged and tonumber(lease[3]) <= judged + TOLERANCE then return lease[1] end
  redis.call('DEL', P .. 'h:' .. key)
  dirty = true
  return nil
end

function steps.take_lease()
  local key, taker, ends = ARGV[4], ARGV[5], ARGV[6]
  local other = holder(key)
  if other and other ~= taker then return 0 end
  redis.call('HSET', P .. 'h:' .. key, 'holder', taker, 'until', ends, 'taken', digits(judged))
  redis.call('PEXPIRE', P .. 'h:' .. key, digits(math.max(0, tonumber(ends) - judged) + GRACE))
  dirty = true
  return 1
end

function steps.release_lease()
  if holder(ARGV[4]) ~= ARGV[5] then return 0 end
  redis.call('DEL', P .. 'h:' .. ARGV[4])
  dirty = true
  return 1
end

local REVOKED = P .. 'revoked'

-- The list is one hash, its generation and its digest fields beside the entries: they are written in one step. A field
-- may vanish by itself all the same, where somebody deletes it; replicas read the whole hash every few seconds.
function steps.revocations()
  local generation = redis.call('HGET', REVOKED, 'generation') or '0'
  if generation == ARGV[4] then return { generation } end
  return { generation, redis.call('HGETALL', REVOKED) }
end

-- Whether the list was the one that the change was made for; -1 where it would be too long. An entry is stored as
-- `updated:expires:sealed`, with nothing for `expires` where it never does.
function steps.change_revocations()
  local next_generation, seen_generation, digest = ARGV[4], ARGV[5], ARGV[6]
  local stands = redis.call('HMGET', REVOKED, 'generation', 'digest')
  if (stands[1] or '0') ~= seen_generation then return 0 end
  local taken, added = {}, 0
  for i = 7, #ARGV, 4 do
    local id, expires = ARGV[i], tonumber(ARGV[i + 2])
    if not expires or expires > judged then
      local entry = ARGV[i + 1] .. ':' .. ARGV[i + 2] .. ':' .. ARGV[i + 3]
      local stored = redis.call('HGET', REVOKED, id)
      if not stored then added = added + 1 end
      if stored ~= entry then taken[#taken + 1] = { id, entry } end
    end
  end
  if #taken == 0 and stands[2] == digest then return 1 end
  local count = redis.call('HLEN', REVOKED) - (stands[1] and 1 or 0) - (stands[2] and 1 or 0)
  if added > 0 and count + added > MOST_REVOCATIONS then return -1 end
  redis.call('HSET', REVOKED, 'generation', next_generation, 'digest', digest)
  for _, change in ipairs(taken) do redis.call('HSET', REVOKED, change[1], change[2]) end
  dirty = true
  return 1
end

function steps.sweep()
  local deleted = 0
  for _, name in ipairs(expired(judged, BATCH)) do
    delete(name)
    deleted = deleted + 1
  end
  local marks = redis.call('ZRANGEBYSCORE', P .. 'marks', '-inf', digits(judged), 'LIMIT', 0, BATCH - deleted)
  for _, mark in ipairs(marks) do
    redis.call('DEL', P .. mark)
    redis.call('ZREM', P .. 'marks', mark)
    deleted, dirty = deleted + 1, true
  end
  local revocations = redis.call('HGETALL', REVOKED)
  for i = 1, #revocations, 2 do
    if #revocations[i] == 32 and deleted < BATCH then
      local expires = tonumber(string.match(revocations[i + 1], '^%d+:(%d+):') or '')
      if expires and expires <= judged then
        redis.call('HDEL', REVOKED, revocations[i])
        deleted, dirty = deleted + 1, true
      end
    end
  end
  return deleted
end

local latest = tonumber(redis.call('GET', KEYS[1]) or '0')
local known = math.max(latest, seen)
if now + TOLERANCE < known then
  -- The clock stepped back for good: what had expired by the later time is deleted before that time is forgotten.
  judged = now
  for _, name in ipairs(expired(known, -1)) do delete(name) end
  dirty = true
else
  judged = math.max(now, known)
end
local says = steps[step]()
-- A full server refuses to note the time; what was done holds all the same.
if dirty and judged ~= latest then redis.pcall('SET', KEYS[1], digits(judged)) end
return { judged, changed, says }
