package caddymodule

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"sync"

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
	unread  disposition
	// buffer has the decoded bytes where they are not raw.
	buffer *bytes.Buffer
	// reader is the request's body, as far as it is in this memory.
	reader *recallable
}

// noBody reports whether the request comes without a body. Caddy wraps bodies,
// so http.NoBody is never seen.
func noBody(r *http.Request) bool { return r.Body == nil || r.ContentLength == 0 }

// readBody reads the request's body and puts it back, as it came. max bounds
// what is read and what it may decode to. An error is the client's: the body
// never came whole, and nothing may be done with the request.
func readBody(r *http.Request, max int) (*body, error) {
	b := &body{unread: tooLarge}
	encoding := r.Header["Content-Encoding"]
	plain := len(encoding) == 0 || len(encoding) == 1 && (encoding[0] == "" || encoding[0] == "identity")
	zipped := len(encoding) == 1 && encoding[0] == "gzip"
	if !plain && !zipped {
		b.unread = unknownEncoding
		return b, nil
	}
	if r.ContentLength > int64(max) {
		return b, nil
	}
	b.raw = raws.Get().(*[]byte)
	whole, err := readAll(b.raw, r.Body, r.ContentLength, max)
	if err != nil {
		b.release()
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
	if plain {
		b.decoded = *b.raw
	} else {
		b.gunzip(max)
	}
	return b, nil
}

// readAll reads up to max bytes into raw, and tells whether that was all. length
// is what the client announced, or -1.
func readAll(raw *[]byte, from io.Reader, length int64, max int) (whole bool, err error) {
	size := 16 << 10
	if length >= 0 {
		size = int(length)
	}
	b := (*raw)[:0]
	// One byte more than fits tells a body that is too large.
	if size = min(size, max) + 1; cap(b) < size {
		b = make([]byte, 0, size)
	}
	defer func() { *raw = b }()
	for len(b) <= max {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := from.Read(b[len(b):min(cap(b), max+1)])
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
	said := int(binary.LittleEndian.Uint32(raw[len(raw)-4:]))
	b.buffer.Grow(min(said, max, 32*len(raw)) + bytes.MinRead)
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
	b.reader.r = changed.Reader()
	length := changed.Len()
	r.ContentLength = int64(length)
	r.TransferEncoding = nil
	r.Header.Set("Content-Length", strconv.Itoa(length))
	for _, name := range []string{"Content-Encoding", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		r.Header.Del(name)
	}
}

// largestKept is the size, in bytes, up to which memory is kept for other
// requests.
const largestKept = 1 << 20

// release gives the memory back, when the request has been answered.
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
