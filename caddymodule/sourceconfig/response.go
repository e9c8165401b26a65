package sourceconfig

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// response takes the answer of the next handler. One that may be a source config
// is held back until it is whole; every other one goes on as it comes.
type response struct {
	*caddyhttp.ResponseWriterWrapper
	handler *Handler
	// conditional: a 304 says that the client has a rewritten body.
	conditional bool

	status int // 0 before there is one
	// held: the body is read into body, and the header not written yet.
	held bool
	body []byte
}

// WriteHeader decides what is done with the answer.
func (w *response) WriteHeader(status int) {
	switch {
	case w.status != 0:
		return
	case status >= 100 && status < 200:
		// Not the answer yet, or, with 101, the last that is seen of it.
		w.ResponseWriterWrapper.WriteHeader(status)
		return
	}
	w.status = status
	why := w.refuse()
	if w.held = why == ""; !w.held {
		w.pass(why)
	}
}

// refuse returns why an answer is not read, or nothing.
func (w *response) refuse() reason {
	h := w.Header()
	switch {
	case w.status == http.StatusNotModified:
		if w.conditional {
			w.handler.mark.add(h)
		}
		return notModified
	case w.status != http.StatusOK:
		return otherStatus
	case caddyhttp.IsIncremental(h):
		return streaming
	case !mayBeJSON(h["Content-Type"]):
		return otherType
	case encodingOf(h) == unknown:
		return otherEncoding
	}
	if length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && length > int64(w.handler.maxBody) {
		return tooLarge
	}
	return ""
}

// mayBeJSON reports whether an SDK may read a body of a type as JSON. They do
// not look at the type; those that are streams or pages are let through.
func mayBeJSON(values []string) bool {
	if len(values) == 0 {
		return true
	}
	kind, _, err := mime.ParseMediaType(values[0])
	switch kind {
	case "", "application/json", "text/json", "text/plain", "application/octet-stream", "application/javascript", "text/javascript":
		return true
	}
	return err != nil || strings.HasSuffix(kind, "+json")
}

// Write takes a piece of the body.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !w.held {
		return w.ResponseWriterWrapper.Write(p)
	}
	if len(w.body)+len(p) > w.handler.maxBody {
		if err := w.let(tooLarge); err != nil {
			return 0, err
		}
		return w.ResponseWriterWrapper.Write(p)
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// ReadFrom takes the body from a reader, as fast as what is below can where
// nothing is held back.
func (w *response) ReadFrom(from io.Reader) (int64, error) {
	w.WriteHeader(http.StatusOK)
	if !w.held {
		return w.ResponseWriterWrapper.ReadFrom(from)
	}
	return io.Copy(struct{ io.Writer }{w}, from)
}

// FlushError flushes what is not held back.
func (w *response) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.held {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// pass lets the header go.
func (w *response) pass(why reason) {
	count(why)
	if warn := why.warning(); warn != "" {
		w.handler.logger.Warn(warn, zap.Int("status", w.status))
	}
	w.held = false
	w.ResponseWriterWrapper.WriteHeader(w.status)
}

// let lets go of what was held back, as it came.
func (w *response) let(why reason) error {
	w.pass(why)
	_, err := w.ResponseWriterWrapper.Write(w.body)
	w.body = nil
	return err
}

// finish lets go of what is held back once the answer is whole, rewritten if it
// can be. broken: the next handler failed, and it is not whole.
func (w *response) finish(broken bool) error {
	if !w.held {
		return nil
	}
	if broken {
		return w.let(incomplete)
	}
	h := w.Header()
	body, why := w.handler.rewrite(w.body, encodingOf(h))
	if !why.read() {
		return w.let(why)
	}
	settleHeader(h, w.handler.mark, body != nil)
	if body == nil {
		body = w.body
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.pass(why)
	_, err := w.ResponseWriterWrapper.Write(body)
	return err
}

// settleHeader makes the header that of a body that was read and, if changed is
// set, changed.
func settleHeader(h http.Header, m mark, changed bool) {
	m.add(h)
	// Parts of it are never sent; what the body's trailers said of it has come.
	delete(h, "Accept-Ranges")
	for _, name := range strings.Split(strings.Join(h["Trailer"], ","), ",") {
		h.Del(strings.TrimSpace(name))
	}
	delete(h, "Trailer")
	if encodingOf(h) == gzipped && !varies(h, "Accept-Encoding") {
		h.Add("Vary", "Accept-Encoding")
	}
	if changed {
		for _, name := range []string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
			delete(h, name)
		}
	}
}

// varies reports whether Vary has a name.
func varies(h http.Header, name string) bool {
	for item := range strings.SplitSeq(strings.Join(h["Vary"], ","), ",") {
		if item = strings.TrimSpace(item); item == "*" || strings.EqualFold(item, name) {
			return true
		}
	}
	return false
}
