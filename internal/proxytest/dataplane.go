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

// Arrival is a request as the data plane got it.
type Arrival struct {
	Method, URI, Proto string
	Header, Trailer    http.Header
	ContentLength      int64
	TransferEncoding   []string
	Body               []byte
	// Err is the error of reading the body, if it did not arrive completely.
	Err error
}

// HangUp, as a status, closes the connection instead of answering.
const HangUp = -1

// DataPlane is a fake data plane that records the requests it gets.
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

// Reply sets the answer to all requests from now on.
func (p *DataPlane) Reply(status int, body string) {
	p.ReplyWith(func(*Arrival) (int, string) { return status, body })
}

func (p *DataPlane) ReplyWith(answer func(*Arrival) (int, string)) {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.Answer = answer
}

// Echo, given to ReplyWith, answers with the request's body.
func Echo(a *Arrival) (int, string) { return http.StatusOK, string(a.Body) }

// Take returns the requests since the last call.
func (p *DataPlane) Take() []*Arrival {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	taken := p.Arrivals
	p.Arrivals = nil
	return taken
}

// Event returns the body of a track without timestamps.
func Event(anonymousID, messageID string) string {
	return fmt.Sprintf(`{"type":"track","event":"e","anonymousId":%q,"messageId":%q,"context":{"a":1}}`, anonymousID, messageID)
}

// Message has the fields of an event that identify it and its session.
type Message struct {
	Type, MessageID, AnonymousID, UserID, Channel string
	Context                                       struct {
		SessionID    json.Number
		SessionStart *bool
	}
}

// Session returns the message's session id, followed by "!" if it carries the start
// mark; "" if it has none.
func (m Message) Session() string {
	if m.Context.SessionStart != nil {
		return m.Context.SessionID.String() + "!"
	}
	return m.Context.SessionID.String()
}

// Messages returns the messages in some requests.
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

// Expect checks that the messages since the last Take have these sessions, in this
// order.
func (p *Proxy) Expect(t *testing.T, sessions ...string) {
	t.Helper()
	var got []string
	for _, m := range Messages(t, p.Plane.Take()...) {
		got = append(got, m.Session())
	}
	if !slices.Equal(got, sessions) {
		t.Errorf("messages have sessions %q, want %q", got, sessions)
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

// Unzip returns the decompressed body of a request.
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
