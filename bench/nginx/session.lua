-- The same job in nginx: parse the body, look up each message's session, set
-- context.sessionId and, on a session's first event, context.sessionStart.
-- It knows nothing of event times, ended sessions, retries, duplicate keys, or
-- what a float64 does to numbers, and it writes the whole body anew.
local cjson = require "cjson"
local inflate = require "inflate"
local sessions = ngx.shared.sessions

local STARTED, ARMED = 0, 1

local function write_key()
	local authorization = ngx.var.http_authorization
	local credentials = authorization and authorization:match("^Basic (.+)$")
	credentials = credentials and ngx.decode_base64(credentials)
	return credentials and credentials:match("^([^:]+):")
end

local function key_of(message, write_key)
	if type(message.anonymousId) == "string" and message.anonymousId ~= "" then
		return write_key .. "\0a" .. message.anonymousId
	end
	if type(message.userId) == "string" and message.userId ~= "" then
		return write_key .. "\0u" .. message.userId
	end
end

-- Returns whether the message was changed.
local function stamp(message, write_key)
	local key = key_of(message, write_key)
	local id, mark = nil, nil
	if key then
		id, mark = sessions:get(key)
	end
	if not id then
		return false
	end
	local context = message.context
	if context == nil or context == cjson.null then
		context = {}
		message.context = context
	elseif type(context) ~= "table" then
		return false
	end
	context.sessionId = id
	context.sessionStart = nil
	if mark == ARMED then
		context.sessionStart = true
		sessions:set(key, id, 0, STARTED)
	end
	return true
end

local function batch(messages, write_key)
	local left, changed = {}, false
	for _, message in ipairs(messages) do
		if message.type == "startSession" then
			sessions:set(key_of(message, write_key), message.sessionId, 0, ARMED)
			changed = true
		else
			changed = stamp(message, write_key) or changed
			left[#left + 1] = message
		end
	end
	return left, changed
end

local function handle()
	local write_key = write_key()
	if not write_key then
		return
	end
	ngx.req.read_body()
	local body = ngx.req.get_body_data()
	local zipped = ngx.var.http_content_encoding == "gzip"
	if body and zipped then
		body = inflate.gunzip(body)
	end
	if not body then
		return
	end
	local ok, root = pcall(cjson.decode, body)
	if not ok or type(root) ~= "table" then
		return
	end
	local changed
	if type(root.batch) == "table" then
		root.batch, changed = batch(root.batch, write_key)
		if #root.batch == 0 then
			ngx.header["Content-Type"] = "text/plain; charset=utf-8"
			ngx.header["Content-Length"] = 2
			ngx.print("ok")
			return ngx.exit(ngx.HTTP_OK)
		end
	else
		changed = stamp(root, write_key)
	end
	if changed then
		ngx.req.set_body_data(cjson.encode(root))
		if zipped then
			ngx.req.clear_header("Content-Encoding")
		end
	end
end

return { handle = handle }
