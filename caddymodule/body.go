package caddymodule

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/rudder-session/rudder-session/enrich"
)

// body is a request's body, as it came and decoded. Its memory is reused for other
// requests.
type body struct {
	// raw is the body as it was read.
	raw *[]byte
	// decoded is the decompressed body; nil if the body is not to be looked at, for
	// the reason in unread.
	decoded []byte
	unread  requestOutcome
	// buffer holds decoded if the body was compressed.
	buffer *bytes.Buffer
	// reader is the request's body if it reads from this memory.
	reader *recallable
	// changed is the body that is forwarded instead of raw; nil for raw itself.
	changed enrich.Body
	// length is the Content-Length of the request as it was forwarded.
	length int64
	// again is the body for the handling of an error; nil if there was none.
	again *again
	// detached is the request's context once the whole body has been read.
	detached *detached
}

// noBody reports whether the request has no body. Caddy wraps bodies, so comparing
// with http.NoBody does not work.
func noBody(r *http.Request) bool { return r.Body == nil || r.ContentLength == 0 }

// readBody reads the request's body, and gives the request an equal body to read. It
// reads and decompresses at most max bytes. An error means that the body did not
// arrive completely, and that nothing may be done with the request.
//
// Once the body has been read, the request continues for up to finish after its
// client has gone. The caller must call leave.
func readBody(r *http.Request, max int, finish time.Duration) (*body, error) {
	b := &body{unread: tooLarge}
	if r.ContentLength > int64(max) {
		return b, nil
	}
	b.raw = raws.Get().(*[]byte)
	whole, err := readAll(b.raw, r.Body, r.ContentLength, max)
	if err != nil {
		// Routes for errors may want to read the body.
		r.Body = readCloser{io.MultiReader(bytes.NewReader(*b.raw), r.Body), r.Body}
		return nil, err
	}
	// The server sent 100 Continue when the body was read. Do not wait for one from
	// the data plane too.
	r.Header.Del("Expect")
	if !whole {
		r.Body = readCloser{io.MultiReader(bytes.NewReader(*b.raw), r.Body), r.Body}
		return &body{unread: tooLarge}, nil
	}
	b.reader = &recallable{r: bytes.NewReader(*b.raw), Closer: r.Body}
	r.Body = b.reader
	b.length = r.ContentLength
	b.detached = detach(r, finish)
	encoding := r.Header["Content-Encoding"]
	switch {
	case len(encoding) == 0 || len(encoding) == 1 && (encoding[0] == "" || encoding[0] == "identity"):
		b.decoded = *b.raw
	case len(encoding) == 1 && encoding[0] == "gzip":
		b.gunzip(max)
	default:
		b.unread = unknownEncoding
	}
	return b, nil
}

// firstRead is the memory, in bytes, for a body before any of it has arrived. Most
// bodies fit.
const firstRead = 32 << 10

// readAll reads up to limit bytes into raw, and reports whether that was the whole
// body. length is the announced length, or -1. Memory grows with what has arrived, not
// with what was announced.
func readAll(raw *[]byte, from io.Reader, length int64, limit int) (whole bool, err error) {
	// Reading one more byte than allowed shows that the body is too large.
	largest := int64(limit) + 1
	b := (*raw)[:0]
	defer func() { *raw = b }()
	for len(b) <= limit {
		if len(b) == cap(b) {
			size := min(max(2*int64(len(b)), firstRead), largest)
			if announced := length + 1; announced > int64(len(b)) {
				size = min(size, announced)
			}
			b = slices.Grow(b, int(size)-len(b))
		}
		n, err := from.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

var (
	raws      = sync.Pool{New: func() any { return new([]byte) }}
	unzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}
	buffers   = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// gunzip decompresses the body if it is valid and has at most max bytes then.
func (b *body) gunzip(max int) {
	unzipper := unzippers.Get().(*gzip.Reader)
	defer unzippers.Put(unzipper)
	b.unread = unknownEncoding
	if unzipper.Reset(bytes.NewReader(*b.raw)) != nil {
		return
	}
	b.buffer = buffers.Get().(*bytes.Buffer)
	b.buffer.Reset()
	// The last four bytes give the decompressed length. The client can put anything
	// there, so reserve at most 32 times the compressed size, as text compresses.
	raw := *b.raw
	said := int64(binary.LittleEndian.Uint32(raw[len(raw)-4:]))
	b.buffer.Grow(int(min(said, int64(max), 32*int64(len(raw)))) + bytes.MinRead)
	n, err := io.Copy(b.buffer, io.LimitReader(unzipper, int64(max)+1))
	switch {
	case n > int64(max):
		b.unread = tooLarge
	case err == nil:
		b.decoded = b.buffer.Bytes()
	}
}

// replace gives the request a changed, uncompressed body, which shares the memory of
// the decoded bytes. It changes the request in place, because others, such as the
// replacer, have a pointer to it.
func (b *body) replace(r *http.Request, changed enrich.Body) {
	b.changed = changed
	b.reader.r = changed.Reader()
	length := changed.Len()
	r.ContentLength = int64(length)
	b.length = r.ContentLength
	r.TransferEncoding = nil
	r.Header.Set("Content-Length", strconv.Itoa(length))
	for _, name := range []string{"Content-Encoding", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		r.Header.Del(name)
	}
}

// largestKept is the size, in bytes, up to which memory is reused for other
// requests.
const largestKept = 1 << 20

// leave releases the memory. It must be called when the request has been answered.
// After an error, it instead makes the body readable again from its beginning, as it
// was forwarded, for the routes that handle the error.
func (b *body) leave(r *http.Request, err error) {
	switch {
	case b.reader == nil:
		// The body was too large, and what was read of it has been forwarded.
	case err != nil:
		b.rewind(r)
	default:
		b.detached.finish()
		b.release()
	}
}

// rewind gives the request a body that reads from the beginning, once. The memory is
// not reused then.
func (b *body) rewind(r *http.Request) {
	if b.again != nil {
		return
	}
	if r.ContentLength != b.length {
		return // a later handler has given it another body
	}
	b.again = &again{Reader: b.content()}
	r.Body = b.again
}

// content returns a reader of the body that is forwarded, from its beginning.
func (b *body) content() io.Reader {
	if b.changed != nil {
		return b.changed.Reader()
	}
	return bytes.NewReader(*b.raw)
}

// release makes the memory available for other requests.
func (b *body) release() {
	if b.reader != nil {
		b.reader.recall()
	}
	if b.raw != nil && cap(*b.raw) <= largestKept {
		raws.Put(b.raw)
	}
	if b.buffer != nil && b.buffer.Cap() <= largestKept {
		buffers.Put(b.buffer)
	}
	*b = body{}
}

// again is the body for the handling of an error. It notes whether it was read: then
// the events may have been sent somewhere else.
type again struct {
	io.Reader
	read atomic.Bool
}

func (a *again) Read(p []byte) (int, error) {
	a.read.Store(true)
	return a.Reader.Read(p)
}

// Close does nothing: the server closes the original body.
func (*again) Close() error { return nil }

// recallable is a body in memory that is released when the request has been answered.
// A transport may still read the body then; it gets the same error as from one of the
// server's own bodies.
type recallable struct {
	mu sync.Mutex
	r  io.Reader
	io.Closer
}

func (r *recallable) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.r == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return r.r.Read(p)
}

func (r *recallable) recall() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r = nil
}

// readCloser reads one body and closes another: the original one, which the server
// waits for.
type readCloser struct {
	io.Reader
	io.Closer
}
