-- Calls a function of a script: each argument comes behind its length, as 4 bytes, and each result behind a byte that says
-- how the call ended: 0 well, 1 with an error, 3 since the argument is wrong. It knows Lua 5.1 and what came after it.
local name, file, source = ...
local input, output, log = io.stdin, io.stdout, io.stderr
local read, write = input.read, output.write
local byte, char, find, format, match, sub = string.byte, string.char, string.find, string.format, string.match, string.sub
local gsub, gmatch = string.gsub, string.gmatch
local concat, sort, floor, mathType = table.concat, table.sort, math.floor, math.type
local huge = 1 / 0 -- math.huge of a Lua in Go is a number
local type, tostring, tonumber, ipairs, next, select = type, tostring, tonumber, ipairs, next, select -- the script may have others. A Lua in Go wants the nil behind next
local error, pcall, xpcall, rawequal, rawget, setmetatable = error, pcall, xpcall, rawequal, rawget, setmetatable
local getmetatable = debug.getmetatable -- which no __metatable deceives
local traceback, exit = debug.traceback, os.exit

local null = setmetatable({}, {__tostring = function() return "null" end})
local object, raw = {}, {} -- metatables
-- now[1] is the argument, until it is decoded, then nil; now[2] says whether bytes was ever called. A Lua in Go may part a local
-- from the functions that use it, when there is an error.
local now = {nil, false}
json = {}
function bytes(s)
  if type(s) ~= "string" then error("bytes takes a text, and got a " .. type(s), 2) end
  now[2] = true
  return setmetatable({s}, raw)
end

-- JSON, of which Lua has none.

-- join is concat of any number of texts, where a Lua in Go takes some thousand at once.
local function join(parts)
  if #parts <= 1000 then return concat(parts) end
  local joined = {}
  for i = 1, #parts, 1000 do joined[#joined + 1] = concat(parts, "", i, i + 999 < #parts and i + 999 or #parts) end
  return join(joined)
end

local function fail(at, what) error(format("%s at byte %d", what, at), 0) end

-- Each step of the interpreter costs, calls of functions most and patterns more: so values are decoded from a table with some of
-- the text's bytes. A function that decodes gets the place where its value begins, and returns the value and the place behind it.
local text
local codes, base -- codes[i] is the byte at base + i, or nil where the table ends
local spaces = {[9] = true, [10] = true, [13] = true, [32] = true}
local ends = {[9] = true, [10] = true, [13] = true, [32] = true, [44] = true, [93] = true, [125] = true} -- bytes that end a number
local digits, plain = {}, {} -- what a digit is worth, and whether a byte of a string stands for itself
for c = 48, 57 do digits[c] = c - 48 end
for c = 32, 127 do plain[c] = c ~= 34 and c ~= 92 end

-- skip returns where the first byte from here is that is no space, and the byte, or nil at the end.
local function skip(i)
  local c = codes[i]
  while true do
    if not c then
      base, i = base + i - 1, 1
      codes = {byte(text, base + 1, base + 128)}
      c = codes[1]
    end
    if not spaces[c] then return i, c end
    i = i + 1
    c = codes[i]
  end
end

local function utf8char(c)
  if c < 0x80 then return char(c) end
  if c < 0x800 then return char(0xC0 + floor(c / 0x40), 0x80 + c % 0x40) end
  if c < 0x10000 then return char(0xE0 + floor(c / 0x1000), 0x80 + floor(c / 0x40) % 0x40, 0x80 + c % 0x40) end
  return char(0xF0 + floor(c / 0x40000), 0x80 + floor(c / 0x1000) % 0x40, 0x80 + floor(c / 0x40) % 0x40, 0x80 + c % 0x40)
end

local escapes = {['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

-- unescape returns what an escape stands for, and where it ends.
local function unescape(from)
  local short = escapes[sub(text, from + 1, from + 1)]
  if short then return short, from + 2 end
  local hex = match(text, "^u(%x%x%x%x)", from + 1)
  if not hex then fail(from, "a wrong escape") end
  local c = tonumber(hex, 16)
  if c < 0xD800 or c > 0xDFFF then return utf8char(c), from + 6 end
  local low = match(text, "^\\u(%x%x%x%x)", from + 6)
  low = low and tonumber(low, 16)
  if c > 0xDBFF or not low or low < 0xDC00 or low > 0xDFFF then return "\239\191\189", from + 6 end
  return utf8char(0x10000 + (c - 0xD800) * 0x400 + (low - 0xDC00)), from + 12
end

local strings = {ascii = true} -- ascii, whether all that were decoded are, for certain

-- decodeString decodes a string whose first quote is here.
local function decodeString(i)
  local stop = i + 1
  local c = codes[stop]
  while plain[c] do
    stop = stop + 1
    c = codes[stop]
  end
  if c == 34 then return sub(text, base + i + 1, base + stop - 1), stop + 1 end
  local parts, start = {}, base + i + 1
  stop = base + stop
  strings.ascii = false
  while true do
    stop = find(text, '[%z\1-\31\\"]', stop)
    if not stop then fail(#text + 1, "a string without an end") end
    parts[#parts + 1] = sub(text, start, stop - 1)
    c = byte(text, stop)
    if c == 34 then return join(parts), stop + 1 - base end
    if c ~= 92 then fail(stop, "a control character in a string") end
    parts[#parts + 1], start = unescape(stop)
    stop = start
  end
end

-- number is tonumber, also where that knows neither 1e5 nor 20 digits, as in a Lua written in Go.
local function number(text)
  return tonumber(text) or tonumber((gsub(text, "[eE]", ".0e"))) or tonumber(text .. ".0")
end

local function isDigit(c) return digits[c] ~= nil end

local function decodeAnyNumber(i)
  local at = base + i
  local text = match(text, "^[-+.eE%d]+", at)
  local value = number(text)
  local first = byte(text) == 45 and 2 or 1
  local dot = find(text, ".", 1, true)
  if not value or not isDigit(byte(text, first)) or dot and not isDigit(byte(text, dot + 1))
    or byte(text, first) == 48 and isDigit(byte(text, first + 1)) then fail(at, "a wrong number") end
  return value, i + #text
end

-- decodeNumber decodes a number whose first byte is here, and has this worth.
local function decodeNumber(i, value)
  local stop = i + 1
  local c = codes[stop]
  local digit = digits[c]
  if digit and value == 0 then fail(base + i, "a wrong number") end
  while digit do
    value = value * 10 + digit
    stop = stop + 1
    c = codes[stop]
    digit = digits[c]
  end
  if stop - i < 15 and (ends[c] or not c and base + stop > #text) then return value, stop end
  return decodeAnyNumber(i)
end

local words = {["true"] = true, ["false"] = false, null = null}

local function decodeWord(i)
  local word = match(text, "^%a+", base + i)
  if words[word or ""] == nil then fail(base + i, "no value") end
  return words[word], i + #word
end

local decodeValue
local function decodeList(i)
  local list, n, c = {}, 0, nil
  i, c = skip(i + 1)
  if c == 93 then return list, i + 1 end
  while true do
    n = n + 1
    list[n], i = decodeValue(i)
    c = codes[i]
    if c ~= 44 then
      if c ~= 93 then i, c = skip(i) end
      if c == 93 then return list, i + 1 end
      if c ~= 44 then fail(base + i, "no , or ] in a list") end
    end
    i = i + 1
  end
end

local function decodeObject(i)
  local members = {_ = nil} -- a small one, where a Lua in Go takes {} for one of 32 members
  local c, key, stop
  i = i + 1
  c = codes[i]
  if c ~= 34 then
    i, c = skip(i)
    if c == 125 then return setmetatable(members, object), i + 1 end
  end
  while true do
    if c ~= 34 then fail(base + i, "no name in an object") end
    stop = i + 1
    while plain[codes[stop]] do stop = stop + 1 end
    if codes[stop] == 34 then
      key, i = sub(text, base + i + 1, base + stop - 1), stop + 1
    else
      key, i = decodeString(i)
    end
    if codes[i] ~= 58 then
      i, c = skip(i)
      if c ~= 58 then fail(base + i, "no : in an object") end
    end
    members[key], i = decodeValue(i + 1)
    c = codes[i]
    if c ~= 44 then
      if c ~= 125 then i, c = skip(i) end
      if c == 125 then return setmetatable(members, object), i + 1 end
      if c ~= 44 then fail(base + i, "no , or } in an object") end
    end
    i = i + 1
    c = codes[i]
    if c ~= 34 then i, c = skip(i) end
  end
end

-- decodeValue decodes a value that can have spaces before it.
function decodeValue(i)
  local c = codes[i]
  if c == 32 then
    i = i + 1
    c = codes[i]
  end
  while true do
    local digit = digits[c]
    if digit then return decodeNumber(i, digit) end
    if c == 34 then return decodeString(i) end
    if c == 123 then return decodeObject(i) end
    if c == 91 then return decodeList(i) end
    if c == 45 then return decodeAnyNumber(i) end
    if c and not spaces[c] then return decodeWord(i) end
    i, c = skip(i)
    if not c then fail(base + i, "no value") end
  end
end

local tails = {"^[\128-\191]", "^[\128-\191][\128-\191]", "^[\128-\191][\128-\191][\128-\191]"}

-- isUTF8 reports whether the text can be a string of JSON.
local function isUTF8(text)
  local at = 1
  while true do
    at = find(text, "[\128-\255]", at)
    if not at then return true end
    local c, d = byte(text, at, at + 1)
    local n = c >= 0xC2 and c < 0xE0 and 1 or c >= 0xE0 and c < 0xF0 and 2 or c >= 0xF0 and c < 0xF5 and 3
    if not n or not find(text, tails[n], at + 1) then return false end
    if c == 0xE0 and d < 0xA0 or c == 0xED and d > 0x9F or c == 0xF0 and d < 0x90 or c == 0xF4 and d > 0x8F then return false end
    at = at + n + 1
  end
end

function json.decode(s)
  if type(s) ~= "string" then error("json.decode takes a text, and got a " .. type(s), 0) end
  text, base, codes = s, 0, {byte(s, 1, 128)}
  local value, i = decodeValue(1)
  if base + i <= #s then
    local c
    i, c = skip(i)
    if c then fail(base + i, "more behind the value") end
  end
  if not strings.ascii then
    strings.ascii = true
    if not isUTF8(s) then error("it is not UTF-8", 0) end
  end
  return value
end

local short = {[92] = "\\\\", [34] = '\\"', [10] = "\\n", [9] = "\\t", [13] = "\\r"}

local function encodeString(s)
  if not find(s, '[%z\1-\31\\"\127-\255]') then return '"' .. s .. '"' end
  if not isUTF8(s) then error("a string of the result is not UTF-8: return bytes(s) for a result that is no JSON", 0) end
  local parts, start = {'"'}, 1 -- a Lua in Go copies all of a text for each match of a gsub
  while true do
    local at = find(s, '[%z\1-\31\\"]', start)
    parts[#parts + 1] = sub(s, start, (at or 0) - 1)
    if not at then return join(parts) .. '"' end
    local c = byte(s, at)
    parts[#parts + 1] = short[c] or format("\\u%04x", c)
    start = at + 1
  end
end

local function encodeNumber(x)
  if x > -1e14 and x < 1e14 and x % 1 == 0 then return "" .. x end
  if x ~= x or x == huge or x == -huge then error(format("the result has a %s, which JSON has not", tostring(x)), 0) end
  if mathType and mathType(x) == "integer" then return tostring(x) end
  for digits = 15, 17 do
    local text = format("%." .. digits .. "g", x)
    if digits == 17 or number(text) == x then return text end
  end
end

-- Names of members, quoted, with their colon. They come again and again.
local names, named = {}, 0
local function encodeName(name)
  local quoted = names[name]
  if not quoted then
    quoted = encodeString(name) .. ":"
    named = named + 1
    if named > 1000 then names, named = {}, 0 end
    names[name] = quoted
  end
  return quoted
end

local encodeValue
local function encodeTable(t, out)
  if rawequal(t, null) then
    out[#out + 1] = "null"
    return
  end
  local keys, named = {}, getmetatable(t) == object
  for k in next, t, nil do
    keys[#keys + 1] = k
    named = named or type(k) == "string"
  end
  if not named then
    for i = 1, #keys do
      if rawget(t, i) == nil then error("a list in the result has holes, or keys that are neither texts nor 1, 2, 3 and so on", 0) end
    end
    for i = 1, #keys do
      out[#out + 1] = i > 1 and "," or "["
      encodeValue(rawget(t, i), out)
    end
    out[#out + 1] = #keys > 0 and "]" or "[]"
    return
  end
  for i = 1, #keys do
    if type(keys[i]) ~= "string" then error("a table in the result has both texts and others as keys", 0) end
  end
  sort(keys)
  out[#out + 1] = "{"
  for i, k in ipairs(keys) do
    out[#out + 1] = (i > 1 and "," or "") .. encodeName(k)
    encodeValue(rawget(t, k), out)
  end
  out[#out + 1] = "}"
end

function encodeValue(v, out)
  local kind = type(v)
  if v == nil then out[#out + 1] = "null"
  elseif kind == "boolean" then out[#out + 1] = tostring(v)
  elseif kind == "number" then out[#out + 1] = encodeNumber(v)
  elseif kind == "string" then out[#out + 1] = encodeString(v)
  elseif kind == "table" then encodeTable(v, out)
  else error("the result has a " .. kind .. ", which JSON has not", 0)
  end
end

function json.encode(v)
  if type(v) == "number" then return encodeNumber(v) end
  local out = {}
  encodeValue(v, out)
  return join(out)
end

-- By these native tells whether a module does as the code above: texts, of which many are no JSON, and values.
local tried = {
  texts = {
    '{"c":{"d":1,"c":0,"b":[[]],"a":"\\u0000\\b\\u000b\\f\\n\\r\\t\\u001f\\"\\/\\\\\127\195\164\\ud83d\\ude00\\ud800"},"b":[null,true],"a":{},"":[]}',
    "[-0.5,-0,0,1,1.0,100e-2,1e300,1E-7,9007199254740992,12345678901234567890]", " [ ] ", '"1"', "2", "null", "false",
    "", "[1,]", "[1.]", "[01]", "[-]", "[.5]", "[1e]", "[+1]", "1 2", "NaN", "nul", '"\t"', '"\\q"', '"\\u12g4"', '"\255"', '"\192\128"', '"\237\160\128"', "{1:2}", '{"a":1,}', "\0111",
  },
  values = {
    {huge}, {-huge}, {huge - huge}, {print}, {"\255"}, {[1] = 1, [3] = 3}, {1, a = 2}, {[0] = 1}, {[1.5] = 1}, {[true] = 1}, 1.5, "text", true,
    {0.1 + 0.2, 1 / 3, 1e14, 1e15, -1e15, 5e-324, 123456789012345, {{}}, {b = 1, a = {}}},
  },
}

-- native returns the module cjson if there is one that does as the code above: lua-cjson itself takes [1.] for JSON, has no
-- integers in Lua 5.3, and gives an empty list as {} and members in any order. Some do not.
local function native()
  local there, cjson = pcall(require, "cjson")
  if not there or type(cjson) ~= "table" then return end
  local function likewise()
    for _, text in ipairs(tried.texts) do
      local good, value = pcall(json.decode, text)
      local like, other = pcall(cjson.decode, text)
      if good ~= like or good and json.encode(value) ~= cjson.encode(other) then return false end
    end
    for _, value in ipairs(tried.values) do
      local good, text = pcall(json.encode, value)
      local like, other = pcall(cjson.encode, value)
      if good ~= like or good and text ~= other then return false end
    end
    local none, mark, cycle = cjson.null, getmetatable(cjson.decode("{}")), {}
    cycle[1] = cycle
    return type(none) == type(null) and tostring(none) == "null" and cjson.decode("[null]")[1] == none and cjson.encode({none}) == "[null]"
      and type(mark) == "table" and cjson.encode(setmetatable({}, mark)) == "{}" and not pcall(cjson.encode, cycle)
      and 1 / cjson.decode("-0") == 1 / json.decode("-0")
  end
  local good, does = pcall(likewise)
  return good and does and cjson or nil
end

local cjson = native()
if cjson then json = {decode = cjson.decode, encode = cjson.encode} end
json.null = cjson and cjson.null or null
local mark = cjson and getmetatable(cjson.decode("{}")) or object
function json.object(t) return setmetatable(t, mark) end

-- The calls.

function print(...)
  local shown = {}
  for i = 1, select("#", ...) do shown[i] = tostring((select(i, ...))) end
  write(log, concat(shown, "\t"), "\n")
end
io.stdout = log
io.output(log)
output:setvbuf("no")

-- What comes in standard input is the next call's.
local lines, open = io.lines, io.open
local function readNothing(_, how) return (how == "*a" or how == "a") and "" or nil end
local current = {read = readNothing, lines = function() return function() end end, close = function() return true end}
io.stdin = current
function io.input(f)
  if type(f) == "string" then
    local file, wrong = open(f)
    if not file then error(wrong, 2) end
    f = file
  end
  current = f or current
  return current
end
function io.read(...) return current:read(...) end
for name, read in next, {loadfile = loadfile, dofile = dofile}, nil do
  _G[name] = function(f, ...)
    if f == nil then error("standard input is empty: " .. name .. " takes the name of a file", 2) end
    return read(f, ...)
  end
end
function io.lines(f, ...)
  if f then return lines(f, ...) end
  return current:lines(...)
end

local encode = json.encode
local function describe(e)
  local text, shown = pcall(encode, e)
  local meta = getmetatable(e)
  local lines = {type(e) == "table" and not (type(meta) == "table" and meta.__tostring) and text and "it threw " .. shown or tostring(e)}
  for line in gmatch(traceback("", 2), "[^\n]+") do
    if find(line, file .. ":", 1, true) then lines[#lines + 1] = match(line, "^%s*(.-)%s*$") end
  end
  return (gsub(concat(lines, "\n"), "@(" .. gsub(file, "%p", "%%%0") .. ":)", "%1"))
end

-- explain returns an error's message, and where in the script it was.
local function explain(e)
  if now[1] then return e end
  local good, text = pcall(describe, e)
  return good and text or "it threw what cannot be shown"
end

local function find_function()
  local before = {}
  for k in next, _G, nil do before[k] = true end
  local chunk, wrong = (loadstring or load)((gsub(source, "^#[^\n]*", "")), "@" .. file)
  if not chunk then error(wrong, 0) end
  local made = chunk()
  local found = rawget(_G, name)
  if type(made) == "table" and made[name] ~= nil then found = made[name] end
  if type(found) == "function" then return found end
  local names = {}
  for _, space in ipairs({_G, type(made) == "table" and made or {}}) do
    for k, v in next, space, nil do
      if type(k) == "string" and type(v) == "function" and not (space == _G and before[k]) then names[#names + 1] = k end
    end
  end
  sort(names)
  error(format("%s has no function %s, it has: %s", file, name, #names > 0 and concat(names, ", ") or "none"), 0)
end

local decode = json.decode
local collect, before = collectgarbage, 600 -- so many calls, until garbage is collected
local lengths = {} -- those of short arguments, by their 4 bytes
local loaded, call = xpcall(find_function, explain)

-- length returns how long the argument is that comes behind those 4 bytes.
local function length(bytes)
  local a, b, c, d = byte(bytes, 1, 4)
  local n = a + b * 0x100 + c * 0x10000 + d * 0x1000000
  if n < 1000 then lengths[bytes] = n end
  return n
end

-- receive returns the next argument.
local function receive()
  local bytes = read(input, 4)
  if not bytes or #bytes < 4 then exit(0) end
  local n = lengths[bytes] or length(bytes)
  local data = n > 0 and read(input, n) or ""
  if #data < n then exit(0) end
  return data
end

-- serve runs calls, until one throws an error.
local function serve()
  while true do
    before = before - 1
    if before == 0 then -- A Lua in Go collects all its garbage then, and would else do so along a third of its calls.
      collect("step")
      before = cjson and 2000 or 600
    end
    local data = receive()
    now[1] = data
    if not loaded then
      now[1] = nil
      error(call, 0)
    end
    local argument = decode(data)
    now[1] = nil
    local result = call(argument)
    local text = now[2] and getmetatable(result) == raw and rawget(result, 1)
    if not text or type(text) ~= "string" then text = encode(result) end
    write(output, "\0" .. text)
  end
end

while true do
  local _, wrong = xpcall(serve, explain)
  if now[1] then
    write(output, "\3the argument is not JSON: " .. tostring(wrong))
  else
    write(output, "\1" .. tostring(wrong))
  end
end
