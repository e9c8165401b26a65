-- Decompresses gzip with zlib, by way of LuaJIT's FFI.
local ffi = require "ffi"

ffi.cdef [[
typedef struct {
	const unsigned char *next_in; unsigned int avail_in; unsigned long total_in;
	unsigned char *next_out; unsigned int avail_out; unsigned long total_out;
	const char *msg; void *state;
	void *(*zalloc)(void *, unsigned int, unsigned int);
	void (*zfree)(void *, void *);
	void *opaque; int data_type; unsigned long adler; unsigned long reserved;
} z_stream;
const char *zlibVersion(void);
int inflateInit2_(z_stream *, int, const char *, int);
int inflateReset(z_stream *);
int inflate(z_stream *, int);
]]

local zlib = ffi.load("libz.so.1")
local Z_OK, Z_STREAM_END, Z_NO_FLUSH = 0, 1, 0
local GZIP_WINDOW = 15 + 16
local MAX = 4096000

-- One stream and one buffer for each worker: it does one body at a time.
local stream = ffi.new("z_stream")
assert(zlib.inflateInit2_(stream, GZIP_WINDOW, zlib.zlibVersion(), ffi.sizeof(stream)) == Z_OK)
local buffer = ffi.new("unsigned char[?]", MAX)

-- Returns nil where the body is no gzip, or too large.
local function gunzip(body)
	zlib.inflateReset(stream)
	stream.next_in, stream.avail_in = ffi.cast("const unsigned char *", body), #body
	stream.next_out, stream.avail_out = buffer, MAX
	if zlib.inflate(stream, Z_NO_FLUSH) ~= Z_STREAM_END then
		return nil
	end
	return ffi.string(buffer, MAX - stream.avail_out)
end

return { gunzip = gunzip }
