package proxytest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// arrival is a request as the data plane got it.
type Arrival struct {
	Method, URI, Proto string
	Header, Trailer    http.Header
	ContentLength      int64
	TransferEncoding   []string
	Body               []byte
	// Err is why the body did not come whole.
	Err error
}

// hangUp is a status: the connection is closed instead of an answer.
const HangUp = -1

// dataPlane stands for the data plane: it records what arrives.
type DataPlane struct {
	*httptest.Server
	Mu       sync.Mutex
	Arrivals []*Arrival
	Answer   func(*Arrival) (status int, body string)
}

func NewDataPlane(t testing.TB) *DataPlane {
	p := &DataPlane{}
	p.Reply(http.StatusOK, "ok")
	p.Server = httptest.NewServer(http.HandlerFunc(p.Serve))
	t.Cleanup(p.Close)
	return p
}

func (p *DataPlane) Serve(w http.ResponseWriter, r *http.Request) {
	a := &Arrival{
		Method: r.Method, URI: r.RequestURI, Proto: r.Proto, Header: r.Header,
		ContentLength: r.ContentLength, TransferEncoding: r.TransferEncoding,
	}
	a.Body, a.Err = io.ReadAll(r.Body)
	a.Trailer = r.Trailer
	p.Mu.Lock()
	p.Arrivals = append(p.Arrivals, a)
	answer := p.Answer
	p.Mu.Unlock()
	status, body := answer(a)
	if status == HangUp {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Vary", "Origin")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// reply sets the answer to what arrives from now on.
func (p *DataPlane) Reply(status int, body string) {
	p.ReplyWith(func(*Arrival) (int, string) { return status, body })
}

func (p *DataPlane) ReplyWith(answer func(*Arrival) (int, string)) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.Answer = answer
}

// take returns what has arrived since it was last called.
func (p *DataPlane) Take() []*Arrival {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	taken := p.Arrivals
	p.Arrivals = nil
	return taken
}

// event is the body of a track without timestamps.
func Event(anonymousID, messageID string) string {
	return fmt.Sprintf(`{"type":"track","event":"e","anonymousId":%q,"messageId":%q,"context":{"a":1}}`, anonymousID, messageID)
}

// message is what of an event tells its session.
type Message struct {
	Type, MessageID, AnonymousID, UserID, Channel string
	Context                                       struct {
		SessionID    json.Number
		SessionStart *bool
	}
}

// session is the message's session id, with an exclamation mark if it carries
// the start mark; "" if it has none.
func (m Message) Session() string {
	if m.Context.SessionStart != nil {
		return m.Context.SessionID.String() + "!"
	}
	return m.Context.SessionID.String()
}

// messages returns the messages that arrived.
func Messages(t *testing.T, arrivals ...*Arrival) (all []Message) {
	t.Helper()
	for _, a := range arrivals {
		var body struct {
			Message
			Batch []Message
		}
		if a.Err != nil {
			t.Fatalf("%s: %v", a.URI, a.Err)
		}
		if err := json.Unmarshal([]byte(Unzip(t, a)), &body); err != nil {
			t.Fatalf("%s: %v: %q", a.URI, err, a.Body)
		}
		if body.Batch == nil {
			body.Batch = []Message{body.Message}
		}
		all = append(all, body.Batch...)
	}
	return all
}

// expect holds what has arrived since to one event of these sessions each.
func (p *Proxy) Expect(t *testing.T, sessions ...string) {
	t.Helper()
	var got []string
	for _, m := range Messages(t, p.Plane.Take()...) {
		got = append(got, m.Session())
	}
	if !slices.Equal(got, sessions) {
		t.Errorf("arrived with sessions %q, want %q", got, sessions)
	}
}

func DecodeJSON(t *testing.T, text string) (v any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Errorf("%v in %q", err, text)
	}
	return v
}

func Compact(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func Zip(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// unzip returns the body of a request as the data plane reads it.
func Unzip(t *testing.T, a *Arrival) string {
	t.Helper()
	if a.Header.Get("Content-Encoding") != "gzip" {
		return string(a.Body)
	}
	r, err := gzip.NewReader(bytes.NewReader(a.Body))
	if err != nil {
		t.Error(err)
		return ""
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
