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

// response receives the answer of the next handler. It buffers one that may be a
// source config, and writes every other one through.
type response struct {
	*caddyhttp.ResponseWriterWrapper
	handler *Handler
	// conditional: a 304 means that the client has a rewritten body.
	conditional bool

	status int // 0 before there is one
	// held: the answer is collected in body, and its header is not written yet.
	held bool
	body []byte
}

// WriteHeader decides whether the answer is held or passed on.
func (w *response) WriteHeader(status int) {
	switch {
	case w.status != 0:
		return
	case status >= 100 && status < 200:
		// Not the answer yet; or 101, after which the connection is hijacked.
		w.ResponseWriterWrapper.WriteHeader(status)
		return
	}
	w.status = status
	why := w.refuse()
	if w.held = why == ""; !w.held {
		w.pass(why)
	}
}

// refuse returns why an answer cannot be rewritten, "" if it may be.
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

// mayBeJSON reports whether a body of a content type may be a source config. SDKs do
// not look at the type, so only types that cannot be one, such as pages and streams,
// are excluded.
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

// Write implements [io.Writer].
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !w.held {
		return w.ResponseWriterWrapper.Write(p)
	}
	if len(w.body)+len(p) > w.handler.maxBody {
		if err := w.passHeld(tooLarge); err != nil {
			return 0, err
		}
		return w.ResponseWriterWrapper.Write(p)
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// ReadFrom implements [io.ReaderFrom], so that an answer that is not held is copied as
// fast as the underlying writer can.
func (w *response) ReadFrom(from io.Reader) (int64, error) {
	w.WriteHeader(http.StatusOK)
	if !w.held {
		return w.ResponseWriterWrapper.ReadFrom(from)
	}
	return io.Copy(struct{ io.Writer }{w}, from)
}

// FlushError flushes an answer that is not held.
func (w *response) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.held {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// pass counts the answer, and writes its header.
func (w *response) pass(why reason) {
	count(why)
	if warn := why.warning(); warn != "" {
		w.handler.logger.Warn(warn, zap.Int("status", w.status))
	}
	w.held = false
	w.ResponseWriterWrapper.WriteHeader(w.status)
}

// passHeld writes what was held, unchanged.
func (w *response) passHeld(why reason) error {
	w.pass(why)
	_, err := w.ResponseWriterWrapper.Write(w.body)
	w.body = nil
	return err
}

// finish writes an answer that is held, rewritten if possible. broken: the next
// handler failed, and the answer may be incomplete.
func (w *response) finish(broken bool) error {
	if !w.held {
		return nil
	}
	if broken {
		return w.passHeld(incomplete)
	}
	h := w.Header()
	body, why := w.handler.rewrite(w.body, encodingOf(h))
	if !why.read() {
		return w.passHeld(why)
	}
	fixHeader(h, w.handler.mark, body != nil)
	if body == nil {
		body = w.body
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.pass(why)
	_, err := w.ResponseWriterWrapper.Write(body)
	return err
}

// fixHeader corrects the header of a body that was read and, if changed is set,
// rewritten.
func fixHeader(h http.Header, m mark, changed bool) {
	m.add(h)
	// No ranges are served. The trailers are in h by now: they describe the body as it
	// was, and none can follow a body with a Content-Length.
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

// varies reports whether Vary includes a header.
func varies(h http.Header, name string) bool {
	for item := range strings.SplitSeq(strings.Join(h["Vary"], ","), ",") {
		if item = strings.TrimSpace(item); item == "*" || strings.EqualFold(item, name) {
			return true
		}
	}
	return false
}
