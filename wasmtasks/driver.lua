-- Calls a function of a script: each argument comes behind its length, as 4 bytes, and each result behind a byte that says
-- how the call ended: 0 well, 1 with an error, 3 since the argument is wrong. It knows Lua 5.1 and what came after it.
local name, file, source = ...
local input, output, log = io.stdin, io.stdout, io.stderr
local byte, char, find, format, match, sub = string.byte, string.char, string.find, string.format, string.match, string.sub
local concat, floor, huge = table.concat, math.floor, math.huge

-- JSON, of which Lua has none.

local null = setmetatable({}, {__tostring = function() return "null" end})
local object, raw = {}, {}
json = {null = null, object = function(t) return setmetatable(t, object) end}
function bytes(s) return setmetatable({s}, raw) end

local function fail(at, what) error(format("%s at byte %d", what, at), 0) end

local function utf8char(c)
  if c < 0x80 then return char(c) end
  if c < 0x800 then return char(0xC0 + floor(c / 0x40), 0x80 + c % 0x40) end
  if c < 0x10000 then return char(0xE0 + floor(c / 0x1000), 0x80 + floor(c / 0x40) % 0x40, 0x80 + c % 0x40) end
  return char(0xF0 + floor(c / 0x40000), 0x80 + floor(c / 0x1000) % 0x40, 0x80 + floor(c / 0x40) % 0x40, 0x80 + c % 0x40)
end

local escapes = {['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

local function unescape(text, at)
  local short = escapes[sub(text, at + 1, at + 1)]
  if short then return short, at + 2 end
  local hex = match(text, "^u(%x%x%x%x)", at + 1)
  if not hex then fail(at, "a wrong escape") end
  local c = tonumber(hex, 16)
  if c < 0xD800 or c > 0xDFFF then return utf8char(c), at + 6 end
  local low = match(text, "^\\u(%x%x%x%x)", at + 6)
  low = low and tonumber(low, 16)
  if c > 0xDBFF or not low or low < 0xDC00 or low > 0xDFFF then return "\239\191\189", at + 6 end
  return utf8char(0x10000 + (c - 0xD800) * 0x400 + (low - 0xDC00)), at + 12
end

local function decodeString(text, at)
  local parts
  at = at + 1
  while true do
    local stop = find(text, '[%z\1-\31\\"]', at)
    if not stop then fail(#text + 1, "a string without an end") end
    local part, c = sub(text, at, stop - 1), byte(text, stop)
    if c == 34 then
      if not parts then return part, stop + 1 end
      parts[#parts + 1] = part
      return concat(parts), stop + 1
    end
    if c ~= 92 then fail(stop, "a control character in a string") end
    parts = parts or {}
    parts[#parts + 1] = part
    parts[#parts + 1], at = unescape(text, stop)
  end
end

-- number is tonumber, also where that does not know 1e5, as in a Lua written in Go.
local function number(digits) return tonumber(digits) or tonumber((digits:gsub("[eE]", ".0e"))) end

local function isDigit(c) return c and c > 47 and c < 58 end

local function decodeNumber(text, at)
  local digits = match(text, "^[-+.eE%d]+", at)
  local value = number(digits)
  local first = byte(digits) == 45 and 2 or 1
  local dot = find(digits, ".", 1, true)
  if not value or not isDigit(byte(digits, first)) or dot and not isDigit(byte(digits, dot + 1))
    or byte(digits, first) == 48 and isDigit(byte(digits, first + 1)) then fail(at, "a wrong number") end
  return value, at + #digits
end

local words = {["true"] = true, ["false"] = false, null = null}

-- skip returns where something else than space is. Patterns are left out where they can be: they cost most of the time.
local function skip(text, at)
  local c = byte(text, at)
  return c and c > 32 and at or find(text, "[^ \t\r\n]", at) or #text + 1
end

local decodeValue
local function decodeList(text, at)
  local list, n = {}, 0
  at = skip(text, at + 1)
  if byte(text, at) == 93 then return list, at + 1 end
  while true do
    n = n + 1
    list[n], at = decodeValue(text, at)
    at = skip(text, at)
    local c = byte(text, at)
    if c == 93 then return list, at + 1 end
    if c ~= 44 then fail(at, "no , or ] in a list") end
    at = skip(text, at + 1)
  end
end

local function decodeObject(text, at)
  local members, key = setmetatable({}, object), nil
  at = skip(text, at + 1)
  if byte(text, at) == 125 then return members, at + 1 end
  while true do
    if byte(text, at) ~= 34 then fail(at, "no name in an object") end
    key, at = decodeString(text, at)
    at = skip(text, at)
    if byte(text, at) ~= 58 then fail(at, "no : in an object") end
    members[key], at = decodeValue(text, skip(text, at + 1))
    at = skip(text, at)
    local c = byte(text, at)
    if c == 125 then return members, at + 1 end
    if c ~= 44 then fail(at, "no , or } in an object") end
    at = skip(text, at + 1)
  end
end

function decodeValue(text, at)
  local c = byte(text, at)
  if c == 34 then return decodeString(text, at) end
  if c == 123 then return decodeObject(text, at) end
  if c == 91 then return decodeList(text, at) end
  if c == 45 or isDigit(c) then return decodeNumber(text, at) end
  local word = match(text, "^%a+", at)
  if words[word or ""] == nil then fail(at, "no value") end
  return words[word], at + #word
end

function json.decode(text)
  local value, at = decodeValue(text, skip(text, 1))
  at = skip(text, at)
  if at <= #text then fail(at, "more behind the value") end
  return value
end

local function escape(c) return format("\\u%04x", byte(c)) end

-- isUTF8 reports whether the text can be a string of JSON.
local function isUTF8(text)
  local at = 1
  while true do
    at = find(text, "[\128-\255]", at)
    if not at then return true end
    local c, d = byte(text, at, at + 1)
    local n = c >= 0xC2 and c < 0xE0 and 1 or c >= 0xE0 and c < 0xF0 and 2 or c >= 0xF0 and c < 0xF5 and 3
    if not n or not find(text, "^" .. ("[\128-\191]"):rep(n), at + 1) then return false end
    if c == 0xE0 and d < 0xA0 or c == 0xED and d > 0x9F or c == 0xF0 and d < 0x90 or c == 0xF4 and d > 0x8F then return false end
    at = at + n + 1
  end
end

local function encodeString(s)
  if not find(s, '[%z\1-\31\\"\127-\255]') then return '"' .. s .. '"' end
  if not isUTF8(s) then error("a string of the result is not UTF-8: return bytes(s) for a result that is no JSON", 0) end
  return '"' .. s:gsub('[%z\1-\31\\"]', {["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r"}):gsub("[%z\1-\31]", escape) .. '"'
end

local function encodeNumber(x)
  if x ~= x or x == huge or x == -huge then error(format("the result has a %s, which JSON has not", tostring(x)), 0) end
  if x > -1e14 and x < 1e14 and x == floor(x) or math.type and math.type(x) == "integer" then return tostring(x) end
  for digits = 15, 17 do
    local text = format("%." .. digits .. "g", x)
    if digits == 17 or number(text) == x then return text end
  end
end

local encodeValue
local function encodeTable(t, out)
  local keys, named = {}, getmetatable(t) == object
  for k in pairs(t) do
    keys[#keys + 1] = k
    named = named or type(k) == "string"
  end
  if not named then
    if #keys ~= #t then error("a list in the result has holes, or keys that are neither texts nor 1, 2, 3 and so on", 0) end
    for i = 1, #keys do
      out[#out + 1] = i > 1 and "," or "["
      encodeValue(t[i], out)
    end
    out[#out + 1] = #keys > 0 and "]" or "[]"
    return
  end
  for i = 1, #keys do
    if type(keys[i]) ~= "string" then error("a table in the result has both texts and others as keys", 0) end
  end
  table.sort(keys)
  out[#out + 1] = "{"
  for i, k in ipairs(keys) do
    out[#out + 1] = (i > 1 and "," or "") .. encodeString(k) .. ":"
    encodeValue(t[k], out)
  end
  out[#out + 1] = "}"
end

function encodeValue(v, out)
  local kind = type(v)
  if v == nil or v == null then out[#out + 1] = "null"
  elseif kind == "boolean" then out[#out + 1] = tostring(v)
  elseif kind == "number" then out[#out + 1] = encodeNumber(v)
  elseif kind == "string" then out[#out + 1] = encodeString(v)
  elseif kind == "table" then encodeTable(v, out)
  else error("the result has a " .. kind .. ", which JSON has not", 0)
  end
end

function json.encode(v)
  local out = {}
  encodeValue(v, out)
  return concat(out)
end

-- The calls.

function print(...)
  local shown = {}
  for i = 1, select("#", ...) do shown[i] = tostring((select(i, ...))) end
  log:write(concat(shown, "\t"), "\n")
end
io.stdout = log
io.output(log)

-- explain returns an error's message, and where in the script it was.
local function explain(e)
  local text, shown = pcall(json.encode, e)
  local lines = {type(e) == "table" and not (getmetatable(e) or {}).__tostring and text and "it threw " .. shown or tostring(e)}
  for line in debug.traceback("", 2):gmatch("[^\n]+") do
    if find(line, file .. ":", 1, true) then lines[#lines + 1] = line:match("^%s*(.-)%s*$") end
  end
  return (concat(lines, "\n"):gsub("@(" .. file:gsub("%p", "%%%0") .. ":)", "%1"))
end

local function find_function()
  local before = {}
  for k in pairs(_G) do before[k] = true end
  local chunk, wrong = (loadstring or load)(source, "@" .. file)
  if not chunk then error(wrong, 0) end
  local made = chunk()
  local found = rawget(_G, name)
  if type(made) == "table" and made[name] ~= nil then found = made[name] end
  if type(found) == "function" then return found end
  local names = {}
  for _, space in ipairs({_G, type(made) == "table" and made or {}}) do
    for k, v in pairs(space) do
      if type(k) == "string" and type(v) == "function" and not (space == _G and before[k]) then names[#names + 1] = k end
    end
  end
  table.sort(names)
  error(format("%s has no function %s, it has: %s", file, name, #names > 0 and concat(names, ", ") or "none"), 0)
end

local function take(n)
  local data = n > 0 and input:read(n) or ""
  if #data < n then os.exit(0) end
  return data
end

local function give(status, data)
  output:write(char(status) .. data)
  output:flush()
end

local loaded, call = xpcall(find_function, explain)
while true do
  local a, b, c, d = byte(take(4), 1, 4)
  local data = take(a + b * 0x100 + c * 0x10000 + d * 0x1000000)
  if not loaded then
    give(1, call)
  else
    local good, argument = pcall(json.decode, data)
    if not good then
      give(3, "the argument is not JSON: " .. tostring(argument))
    else
      local done, result = xpcall(function()
        local r = call(argument)
        if getmetatable(r) == raw then return r[1] end
        return json.encode(r)
      end, explain)
      give(done and 0 or 1, result)
    end
  end
end
