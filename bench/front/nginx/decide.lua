-- The same decision as the node's, for nginx's Lua module: parse the beacon, see
-- that the page may ask and that the visitor granted "context", find out device,
-- language, channel and place, try each slot's rules in order, answer with
-- content. It does less than the node: no full check of the beacon's syntax and
-- limits, no bots, no consent strings of the standards, no signed ids, no
-- explanation; its log is written when a buffer is full and never synced.
local cjson = require "cjson"
local bit = require "bit"

local context = 4

-- Devices: hints first, then words of the User-Agent.
local function device(headers)
  local mobile = headers["sec-ch-ua-mobile"]
  if mobile == "?1" then return "phone" end
  if mobile == "?0" then
    if headers["sec-ch-ua-platform"] == '"Android"' then return "tablet" end
    return "desktop"
  end
  local agent = headers["user-agent"] or ""
  if agent:find("iPhone", 1, true) then return "phone" end
  if agent:find("iPad", 1, true) then return "tablet" end
  if agent:find("Android", 1, true) then
    return agent:find("Mobile", 1, true) and "phone" or "tablet"
  end
  if agent:find("Windows NT", 1, true) or agent:find("Macintosh", 1, true) or agent:find("X11", 1, true) then return "desktop" end
  return "other"
end

local engines = {
  ["google.com"] = "search", ["bing.com"] = "search", ["duckduckgo.com"] = "search",
  ["facebook.com"] = "social", ["instagram.com"] = "social", ["reddit.com"] = "social",
}

local function channel(ref, own)
  if type(ref) ~= "string" or ref == "" then return "direct" end
  local host = ref:match("^https?://([^/?#:]+)")
  if not host then return "direct" end
  if host == own then return nil end
  while host do
    if engines[host] then return engines[host] end
    host = host:match("^[^.]+%.(.+)$")
  end
  return "referral"
end

return function(file)
  local f = assert(io.open(file))
  local setup = cjson.decode(f:read("*a"))
  f:close()
  local known = {}
  for _, lang in ipairs(setup.languages) do known[lang] = true end

  -- The reader's first language that the site speaks; by the browser's list, then
  -- by the header, whose order is taken for the order of preference.
  local function language(langs, accept)
    for i = 1, langs and #langs or 0 do
      local base = langs[i]:match("^%a+")
      if known[base] then return base end
    end
    for base in (accept or ""):gmatch("(%a+)[^,]*,?") do
      if known[base] then return base end
    end
    return nil
  end

  local function choose(slot, visit)
    local rules = setup.rules[slot]
    for i = 1, #rules do
      local conditions, holds = rules[i].conditions, true
      for k = 1, #conditions do
        local value = visit[conditions[k].field]
        if value == nil or not conditions[k]["in"][value] then holds = false break end
      end
      if holds then return rules[i].variant, rules[i].name end
    end
  end

  return function()
    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    local ok, beacon = pcall(cjson.decode, body)
    if not ok or type(beacon) ~= "table" or beacon.v ~= 1 or beacon.site ~= "shop" then
      ngx.status = 400
      ngx.header["Content-Length"] = 0
      return
    end
    local headers = ngx.req.get_headers(32)
    if headers["origin"] ~= setup.origin then
      ngx.status = 403
      ngx.header["Content-Length"] = 0
      return
    end
    local granted = bit.band(beacon.consent.purposes, beacon.consent.owner.granted)
    local page = beacon.page
    local visit = {}
    if bit.band(granted, context) ~= 0 then
      visit.geo_country = ngx.var.geo_country
      visit.device_type = device(headers)
      visit.lang = language(beacon.client.langs, headers["accept-language"])
      visit.source_channel = channel(page.ref, page.url:match("^https?://([^/?#:]+)"))
      visit.page_type = page.type
      visit.page_category = page.category
    end
    local decisions, shown = {}, {}
    for i, slot in ipairs(beacon.slots) do
      local variant, rule = choose(slot, visit)
      if variant then
        decisions[i] = { slot = slot, variant = variant, kind = "json", lang = "en", dir = "ltr", reason = "rule", rule = rule, content = { json = setup.contents[variant] } }
      else
        decisions[i] = { slot = slot, variant = "", kind = "default", reason = "no-answer" }
      end
      shown[i] = decisions[i].variant
    end
    ngx.var.shown = table.concat(shown, " ")
    local out = cjson.encode({ v = 1, granted = granted, decisions = decisions })
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Content-Length"] = #out
    ngx.header["Cache-Control"] = "no-store"
    ngx.header["Access-Control-Allow-Origin"] = setup.origin
    ngx.header["Vary"] = "Origin"
    ngx.print(out)
  end
end
