package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/rudder-session/rudder-session/enrich"
)

// body is a request's body: as it came, and decoded.
type body struct {
	// raw is what was read. It belongs to the request.
	raw []byte
	// decoded is the JSON in it, until close is called; nil where the body
	// cannot be read: it is too large, or in an unknown or broken encoding.
	decoded []byte
	// buffer has the decoded bytes where they are not raw.
	buffer *bytes.Buffer
}

// noBody reports whether the request comes without a body. Caddy wraps bodies,
// so http.NoBody is never seen.
func noBody(r *http.Request) bool { return r.Body == nil || r.ContentLength == 0 }

// readBody reads the request's body and puts it back, as it came. max bounds
// what is read and what it may decode to. An error is the client's: the body
// never came whole, and nothing may be done with the request.
func readBody(r *http.Request, max int) (*body, error) {
	b := &body{}
	encoding := r.Header["Content-Encoding"]
	plain := len(encoding) == 0 || len(encoding) == 1 && (encoding[0] == "" || encoding[0] == "identity")
	zipped := len(encoding) == 1 && encoding[0] == "gzip"
	if !plain && !zipped || r.ContentLength > int64(max) {
		return b, nil
	}
	raw, whole, err := readAll(r.Body, r.ContentLength, max)
	if err != nil {
		return nil, err
	}
	b.raw = raw
	// The server has sent its 100 Continue for the read; the data plane must not
	// be waited for again.
	r.Header.Del("Expect")
	original := r.Body
	if !whole {
		r.Body = readCloser{io.MultiReader(bytes.NewReader(raw), original), original}
		return b, nil
	}
	r.Body = readCloser{bytes.NewReader(raw), original}
	if plain {
		b.decoded = raw
	} else {
		b.gunzip(max)
	}
	return b, nil
}

// readAll reads up to max bytes, and tells whether that was all. length is what
// the client announced, or -1.
func readAll(from io.Reader, length int64, max int) (raw []byte, whole bool, err error) {
	size := 16 << 10
	if length >= 0 {
		size = int(length)
	}
	// One byte more than fits tells a body that is too large.
	raw = make([]byte, 0, min(size, max)+1)
	for len(raw) <= max {
		if len(raw) == cap(raw) {
			raw = append(raw, 0)[:len(raw)]
		}
		n, err := from.Read(raw[len(raw):min(cap(raw), max+1)])
		raw = raw[:len(raw)+n]
		if err == io.EOF {
			return raw, true, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
	return raw, false, nil
}

var (
	unzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}
	buffers   = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// gunzip decodes the body if it is sound and decodes to no more than max bytes.
func (b *body) gunzip(max int) {
	unzipper := unzippers.Get().(*gzip.Reader)
	defer unzippers.Put(unzipper)
	if unzipper.Reset(bytes.NewReader(b.raw)) != nil {
		return
	}
	b.buffer = buffers.Get().(*bytes.Buffer)
	b.buffer.Reset()
	n, err := io.Copy(b.buffer, io.LimitReader(unzipper, int64(max)+1))
	if err != nil || n > int64(max) {
		b.close()
		return
	}
	b.decoded = b.buffer.Bytes()
}

// close gives the decoded bytes back.
func (b *body) close() {
	if b.buffer != nil {
		buffers.Put(b.buffer)
	}
	b.buffer, b.decoded = nil, nil
}

// replace gives the request another, plain body, which shares the memory of the
// decoded bytes. The request is changed in place: others, such as the replacer,
// hold on to it.
func (b *body) replace(r *http.Request, changed enrich.Body) {
	b.buffer = nil
	r.Body = readCloser{changed.Reader(), r.Body}
	length := changed.Len()
	r.ContentLength = int64(length)
	r.TransferEncoding = nil
	r.Header.Set("Content-Length", strconv.Itoa(length))
	for _, name := range []string{"Content-Encoding", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		r.Header.Del(name)
	}
}

// readCloser reads one body and closes another: the one that came, which the
// server waits for.
type readCloser struct {
	io.Reader
	io.Closer
}
