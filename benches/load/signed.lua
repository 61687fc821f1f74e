-- For wrk: deliveries as GitHub signs them, each with a body, an id and a signature of its own. Environment:
--   LOAD_MODE    signed, wrong (under another secret), repeat (one delivery for ever), emit (events for the console)
--   LOAD_BYTES   bytes of a body            LOAD_SECRET  what signs, or the console's token
--   LOAD_RUN     8 characters that set the ids of this run apart
--   LOAD_HOOKS   integrations, in turns: /hooks/gh, /hooks/gh1, …
--   LOAD_RATE    requests a second over all connections; 0: whenever an answer came
local ffi = require "ffi"
ffi.cdef [[
  const void *EVP_sha256(void);
  unsigned char *HMAC(const void *, const char *, int, const char *, size_t, unsigned char *, unsigned int *);
  struct moment { long seconds, nanoseconds; };
  int clock_gettime(int, struct moment *);
]]
local env = os.getenv
local mode, secret, run = env "LOAD_MODE", env "LOAD_SECRET", env "LOAD_RUN"
local bytes, hooks, rate = tonumber(env "LOAD_BYTES"), tonumber(env "LOAD_HOOKS"), tonumber(env "LOAD_RATE")

local function load_any(names)
  for _, name in ipairs(names) do
    local found, library = pcall(ffi.load, name)
    if found then return library end
  end
  error("OpenSSL's libcrypto is missing (Debian package libssl3)")
end
local crypto = load_any { "libcrypto.so.3", "libcrypto.so.1.1", "crypto" }
local sha256, mac, mac_bytes = crypto.EVP_sha256(), ffi.new "unsigned char[32]", ffi.new "unsigned int[1]"
local pairs_of_digits, digits = {}, {}
for byte = 0, 255 do pairs_of_digits[byte] = string.format("%02x", byte) end

local function hmac(key, text)
  crypto.HMAC(sha256, key, #key, text, #text, mac, mac_bytes)
  for i = 0, 31 do digits[i + 1] = pairs_of_digits[mac[i]] end
  return table.concat(digits)
end

-- All of a body but its id, which is 20 bytes: commits as far as they fit, and a note that fills up.
local head = '{"ref":"refs/heads/main","repository":{"full_name":"octo/hello","private":false},"commits":['
local commit = '{"id":"7638417db6d59f3c431d3e1f261cc637155684cd","message":"a line of text","author":'
  .. '{"name":"Ada","email":"ada@example.com"},"distinct":true},'
local note, after, close = '{}],"note":"', '","after":"', '"}'
local room = bytes - #head - #note - #after - #close - 20
local commits = math.max(0, math.floor(room / #commit))
local before_id = head .. commit:rep(commits) .. note .. ("x"):rep(room - commits * #commit) .. after

local headers = { ["Content-Type"] = "application/json", ["X-GitHub-Event"] = "push" }
local count = 0

local function delivery()
  local id = string.format("%s-%011d", run, count)
  local body = before_id .. id .. close
  local hook = (count - 1) % hooks
  headers["X-GitHub-Delivery"] = id
  headers["X-Hub-Signature-256"] = "sha256=" .. hmac(mode == "wrong" and "another" or secret, body)
  return wrk.format("POST", hook == 0 and "/hooks/gh" or "/hooks/gh" .. hook, headers, body)
end

local function event()
  headers["Authorization"] = "Bearer " .. secret
  local body = string.format('{"name":"load.test","message":"number %d"}', count)
  return wrk.format("POST", "/console/v1/system/events/emit", headers, body)
end

local make = mode == "emit" and event or delivery
local made

function request()
  if made and mode == "repeat" then return made end
  count = count + 1
  made = make()
  return made
end

if rate > 0 then
  local now, due = ffi.new "struct moment", nil
  -- Milliseconds until the next place in an even row of requests.
  function delay()
    ffi.C.clock_gettime(1, now)
    local at = tonumber(now.seconds) * 1000 + tonumber(now.nanoseconds) / 1e6
    due = (due or at) + 1000 / rate
    return math.max(0, math.floor(due - at))
  end
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    "requests=%d us=%d refused=%d failed=%d p50_us=%d p99_us=%d",
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
