package ruddersession_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// arrival is a request as the data plane got it.
type arrival struct {
	Method, URI, Proto string
	Header, Trailer    http.Header
	ContentLength      int64
	TransferEncoding   []string
	Body               []byte
	// Err is why the body did not come whole.
	Err error
}

// hangUp is a status: the connection is closed instead of an answer.
const hangUp = -1

// dataPlane stands for the data plane: it records what arrives.
type dataPlane struct {
	*httptest.Server
	mu       sync.Mutex
	arrivals []*arrival
	answer   func(*arrival) (status int, body string)
}

func newDataPlane(t testing.TB) *dataPlane {
	p := &dataPlane{}
	p.reply(http.StatusOK, "ok")
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *dataPlane) serve(w http.ResponseWriter, r *http.Request) {
	a := &arrival{
		Method: r.Method, URI: r.RequestURI, Proto: r.Proto, Header: r.Header,
		ContentLength: r.ContentLength, TransferEncoding: r.TransferEncoding,
	}
	a.Body, a.Err = io.ReadAll(r.Body)
	a.Trailer = r.Trailer
	p.mu.Lock()
	p.arrivals = append(p.arrivals, a)
	answer := p.answer
	p.mu.Unlock()
	status, body := answer(a)
	if status == hangUp {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Vary", "Origin")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// reply sets the answer to what arrives from now on.
func (p *dataPlane) reply(status int, body string) {
	p.replyWith(func(*arrival) (int, string) { return status, body })
}

func (p *dataPlane) replyWith(answer func(*arrival) (int, string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// take returns what has arrived since it was last called.
func (p *dataPlane) take() []*arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.arrivals
	p.arrivals = nil
	return taken
}

// event is the body of a track without timestamps.
func event(anonymousID, messageID string) string {
	return fmt.Sprintf(`{"type":"track","event":"e","anonymousId":%q,"messageId":%q,"context":{"a":1}}`, anonymousID, messageID)
}

// message is what of an event tells its session.
type message struct {
	Type, MessageID, AnonymousID, UserID, Channel string
	Context                                       struct {
		SessionID    json.Number
		SessionStart *bool
	}
}

// session is the message's session id, with an exclamation mark if it carries
// the start mark; "" if it has none.
func (m message) session() string {
	if m.Context.SessionStart != nil {
		return m.Context.SessionID.String() + "!"
	}
	return m.Context.SessionID.String()
}

// messages returns the messages that arrived.
func messages(t *testing.T, arrivals ...*arrival) (all []message) {
	t.Helper()
	for _, a := range arrivals {
		var body struct {
			message
			Batch []message
		}
		if a.Err != nil {
			t.Fatalf("%s: %v", a.URI, a.Err)
		}
		if err := json.Unmarshal([]byte(unzip(t, a)), &body); err != nil {
			t.Fatalf("%s: %v: %q", a.URI, err, a.Body)
		}
		if body.Batch == nil {
			body.Batch = []message{body.message}
		}
		all = append(all, body.Batch...)
	}
	return all
}

// expect holds what has arrived since to one event of these sessions each.
func (p *proxy) expect(t *testing.T, sessions ...string) {
	t.Helper()
	var got []string
	for _, m := range messages(t, p.plane.take()...) {
		got = append(got, m.session())
	}
	if !slices.Equal(got, sessions) {
		t.Errorf("arrived with sessions %q, want %q", got, sessions)
	}
}
