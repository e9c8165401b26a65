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

// body is a request's body: as it came, and decoded. Its memory is used again
// for other requests.
type body struct {
	// raw is what was read.
	raw *[]byte
	// decoded is the JSON in it; nil where the body cannot be read, for the
	// reason that unread is.
	decoded []byte
	unread  requestOutcome
	// buffer has the decoded bytes where they are not raw.
	buffer *bytes.Buffer
	// reader is the request's body, as far as it is in this memory.
	reader *recallable
	// changed is the body that goes on in place of raw; nil for raw itself.
	changed enrich.Body
	// length is the request's Content-Length as it was handed on.
	length int64
	// again is the body that is left after an error; nil before.
	again *again
	// detached is the request's context from when the body has been read whole.
	detached *detached
}

// noBody reports whether the request comes without a body. Caddy wraps bodies,
// so http.NoBody is never seen.
func noBody(r *http.Request) bool { return r.Body == nil || r.ContentLength == 0 }

// readBody reads the request's body and puts it back, as it came. max bounds
// what is read and what it may decode to. An error means that the body never
// came whole, and nothing may be done with the request.
//
// Once the body is there, the request goes on without its client, for finish.
// The caller must call leave.
func readBody(r *http.Request, max int, finish time.Duration) (*body, error) {
	b := &body{unread: tooLarge}
	if r.ContentLength > int64(max) {
		return b, nil
	}
	b.raw = raws.Get().(*[]byte)
	whole, err := readAll(b.raw, r.Body, r.ContentLength, max)
	if err != nil {
		// Caddy may be about to handle the error, and not without a body.
		r.Body = readCloser{io.MultiReader(bytes.NewReader(*b.raw), r.Body), r.Body}
		return nil, err
	}
	// The server has sent its 100 Continue for the read; the data plane must not
	// be waited for again.
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

// firstRead is how much memory, in bytes, a body is given before any of it has
// come. Most bodies are no larger.
const firstRead = 32 << 10

// readAll reads up to limit bytes into raw, and tells whether that was all.
// length is what the client announced, or -1. Memory follows what has come, not
// what was announced.
func readAll(raw *[]byte, from io.Reader, length int64, limit int) (whole bool, err error) {
	// One byte more than fits tells a body that is too large.
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

// gunzip decodes the body if it is sound and decodes to no more than max bytes.
func (b *body) gunzip(max int) {
	unzipper := unzippers.Get().(*gzip.Reader)
	defer unzippers.Put(unzipper)
	b.unread = unknownEncoding
	if unzipper.Reset(bytes.NewReader(*b.raw)) != nil {
		return
	}
	b.buffer = buffers.Get().(*bytes.Buffer)
	b.buffer.Reset()
	// The last four bytes say how long it is; whoever says too much gets no more
	// memory for it than text usually takes.
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

// replace gives the request another, plain body, which shares the memory of the
// decoded bytes. The request is changed in place: others, such as the replacer,
// hold on to it.
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

// largestKept is the size, in bytes, up to which memory is kept for other
// requests.
const largestKept = 1 << 20

// leave is called when the request has been answered, and gives the memory back.
// After an error it leaves the body as it was handed on, readable from its
// beginning, for whatever Caddy does about the error.
func (b *body) leave(r *http.Request, err error) {
	switch {
	case b.reader == nil:
		// What is in memory has been handed on with the rest, or there is none.
	case err != nil:
		b.rewind(r)
	default:
		b.detached.finish()
		b.release()
	}
}

// rewind gives the request a body of its own, with memory that is not used
// again, once.
func (b *body) rewind(r *http.Request) {
	if b.again != nil {
		return
	}
	if r.ContentLength != b.length {
		return // a handler behind this one has given it another body
	}
	b.again = &again{Reader: b.content()}
	r.Body = b.again
}

// content reads the body that goes on, from its beginning.
func (b *body) content() io.Reader {
	if b.changed != nil {
		return b.changed.Reader()
	}
	return bytes.NewReader(*b.raw)
}

// release gives the memory back.
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

// again is a body that is read after an error. It notes whether it was: then
// somebody has got its events.
type again struct {
	io.Reader
	read atomic.Bool
}

func (a *again) Read(p []byte) (int, error) {
	a.read.Store(true)
	return a.Reader.Read(p)
}

// Close does nothing: the server closes the body that came.
func (*again) Close() error { return nil }

// recallable reads from memory that is taken back when the request has been
// answered: a transport may go on to read the body even then, and gets the same
// error as from a body of the server's.
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

// readCloser reads one body and closes another: the one that came, which the
// server waits for.
type readCloser struct {
	io.Reader
	io.Closer
}
