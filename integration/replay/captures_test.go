package replay_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

func TestMain(m *testing.M) { proxytest.Main(m) }

// captured is a request as an SDK sent it.
type captured struct {
	Seq             int
	Scenario, Label string
	TMS             int64 // when it was received, in Unix milliseconds
	Method, URL     string
	RawHeaders      [][2]string
	Body            json.RawMessage
	BodyText        string
	BodyRawB64      []byte
	Responded       any // a status, or "destroyed"
}

func captures(t *testing.T, file string) (all []captured) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata/captures", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c captured
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if c.Method != "" {
			all = append(all, c)
		}
	}
	if lines.Err() != nil || len(all) == 0 {
		t.Fatalf("%s: %d requests, %v", file, len(all), lines.Err())
	}
	return all
}

// status is how the data plane answered.
func (c *captured) status() int {
	if status, ok := c.Responded.(float64); ok {
		return int(status)
	}
	return proxytest.HangUp
}

// refused reports whether the answer made the SDK give up the request.
func (c *captured) refused() bool {
	s := c.status()
	return s >= 400 && s < 500 && s != http.StatusTooManyRequests
}

// events reports whether the request went to an event endpoint.
func (c *captured) events() bool {
	path, _, _ := strings.Cut(c.URL, "?")
	return c.Method == http.MethodPost && slices.Contains([]string{"/v1/identify", "/v1/track", "/v1/page", "/v1/screen", "/v1/group", "/v1/alias", "/v1/batch", "/beacon/v1/batch"}, path)
}

// request is the captured request, to be sent at the same time as then.
func (c *captured) request(t *testing.T) proxytest.Request {
	t.Helper()
	r := proxytest.Request{Method: c.Method, Path: c.URL, Header: http.Header{}, Received: time.UnixMilli(c.TMS), Body: c.BodyText}
	for _, h := range c.RawHeaders {
		if name := http.CanonicalHeaderKey(h[0]); name != "Host" && name != "Connection" && name != "Content-Length" && name != "Transfer-Encoding" {
			r.Header.Add(name, h[1])
		}
	}
	switch {
	case c.BodyRawB64 != nil:
		r.Body = string(c.BodyRawB64)
	case c.Body != nil:
		r.Body = proxytest.Compact(t, string(c.Body))
	}
	return r
}

// messages returns the parts of the request's events that matter for sessions, except the
// session ids: SDKs may send anything as an id.
func (c *captured) messages(t *testing.T) []capturedMessage {
	t.Helper()
	var body struct {
		capturedMessage
		Batch []capturedMessage
	}
	if err := json.Unmarshal(c.Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Batch == nil {
		return []capturedMessage{body.capturedMessage}
	}
	return body.Batch
}

type capturedMessage struct {
	Type, MessageID, AnonymousID, UserID, Channel, Event string
	OriginalTimestamp                                    time.Time
	Context                                              struct{ SessionID, SessionStart any }
	Properties                                           map[string]any
}

// key identifies the owner of a message's session by the name and value of an id.
func (m *capturedMessage) key() [2]string {
	if m.AnonymousID == "" || m.Channel == "server" && m.UserID != "" {
		return [2]string{"userId", m.UserID}
	}
	return [2]string{"anonymousId", m.AnonymousID}
}

// forward sends a captured request, gives it the captured answer, and returns what arrived
// at the data plane.
func forward(t *testing.T, p *proxytest.Proxy, c *captured) *proxytest.Arrival {
	t.Helper()
	return forwardAs(t, p, c, c.request(t))
}

// forwardAs sends a request in place of a captured one, gives it the captured answer, and
// returns what arrived at the data plane.
func forwardAs(t *testing.T, p *proxytest.Proxy, c *captured, r proxytest.Request) *proxytest.Arrival {
	t.Helper()
	p.Plane.Reply(c.status(), "captured")
	got := p.Send(t, r)
	want := c.status()
	if want == proxytest.HangUp {
		want = http.StatusBadGateway
	}
	if got.Status != want {
		t.Fatalf("%s: answered %d, was %d", c.URL, got.Status, want)
	}
	a := p.Plane.Take()
	if len(a) != 1 {
		t.Fatalf("%s: %d requests arrived", c.URL, len(a))
	}
	return a[0]
}

// control makes a control call for the owner of a message. It happens before earlier than
// it is received.
func control(t *testing.T, p *proxytest.Proxy, call string, of [2]string, received time.Time, before time.Duration) string {
	t.Helper()
	body := fmt.Sprintf(`{%q:%q,"originalTimestamp":%q,"sentAt":%q}`, of[0], of[1], proxytest.Fill("$now", received.Add(-before)), proxytest.Fill("$now", received))
	got := p.Send(t, proxytest.Request{Path: "/v1/" + call, WriteKey: "WK_LOCAL", Body: body, Received: received})
	var answer struct{ SessionID json.Number }
	if err := json.Unmarshal([]byte(got.Body), &answer); err != nil || got.Status != http.StatusOK {
		t.Fatalf("%s: %d %q", call, got.Status, got.Body)
	}
	return answer.SessionID.String()
}

var captureFiles = []string{"js-v3.jsonl", "node.jsonl", "service-worker.jsonl", "mobile-synthetic.jsonl"}

// TestReplayWithoutSession: without a session, everything that SDKs send arrives byte for
// byte.
func TestReplayWithoutSession(t *testing.T) {
	for _, file := range captureFiles {
		t.Run(file, func(t *testing.T) {
			p := proxytest.Run(t, proxytest.Setup{})
			for _, c := range captures(t, file) {
				sent := c.request(t)
				a := forward(t, p, &c)
				if a.Method != c.Method || a.URI != c.URL || string(a.Body) != sent.Body {
					t.Errorf("%s %s: arrived as %s %s %q", c.Method, c.URL, a.Method, a.URI, a.Body)
				}
				if len(sent.Body) > 0 && a.ContentLength != int64(len(sent.Body)) {
					t.Errorf("%s: Content-Length %d of %d", c.URL, a.ContentLength, len(sent.Body))
				}
				for name, values := range sent.Header {
					if !slices.Equal(a.Header[name], values) {
						t.Errorf("%s: %s is %q, was %q", c.URL, name, a.Header[name], values)
					}
				}
				if sent.Header["Anonymousid"] == nil && a.Header["Anonymousid"] != nil {
					t.Errorf("%s: got an AnonymousId header", c.URL)
				}
			}
		})
	}
}

// TestReplayInSession replays events after a session was started for each user on the day
// before.
func TestReplayInSession(t *testing.T) {
	for _, file := range captureFiles[:3] {
		t.Run(file, func(t *testing.T) {
			p := proxytest.Run(t, proxytest.Setup{})
			all := slices.DeleteFunc(captures(t, file), func(c captured) bool { return !c.events() })
			begun := map[[2]string]string{}
			for _, c := range all {
				for _, m := range c.messages(t) {
					if _, ok := begun[m.key()]; !ok {
						begun[m.key()] = control(t, p, "startSession", m.key(), time.UnixMilli(all[0].TMS), 24*time.Hour)
					}
				}
			}
			r := replayed{marks: map[[3]string]string{}, seen: map[[3]string]bool{}, users: map[[2]string][]string{}, begun: begun}
			for _, c := range all {
				a := forward(t, p, &c)
				got := proxytest.Messages(t, a)
				sent := c.messages(t)
				if len(got) != len(sent) {
					t.Fatalf("%d messages arrived, of %d", len(got), len(sent))
				}
				for i := range got {
					if sent[i].OriginalTimestamp.UnixMilli() < all[0].TMS-(24*time.Hour).Milliseconds() {
						// A server-side SDK may send an event with an earlier time.
						if want := own(&sent[i]); got[i].Session() != want {
							t.Errorf("%s, from before the session, has session %q", sent[i].MessageID, got[i].Session())
						}
						continue
					}
					r.check(t, &sent[i], got[i].Session(), c.refused())
				}
			}
			// Every session has its start.
			for session := range r.seen {
				if r.marks[session] == "" {
					t.Errorf("no start mark in %v", session)
				}
			}
			t.Logf("%d requests, %d users, %d sessions", len(all), len(begun), len(r.seen))
		})
	}
}

// replayed is the result of a replay. Sessions are identified by key and id.
type replayed struct {
	begun map[[2]string]string // the ids of startSession
	marks map[[3]string]string // the messageId that has the session's start mark
	seen  map[[3]string]bool   // sessions with events that were not refused
	users map[[2]string][]string
}

func (r *replayed) check(t *testing.T, m *capturedMessage, session string, refused bool) {
	t.Helper()
	key := m.key()
	id, marked := strings.CutSuffix(session, "!")
	of := [3]string{key[0], key[1], id}
	if !proxytest.GeneratedID.MatchString(id) {
		t.Errorf("%s %s has session %q", m.Type, m.MessageID, session)
	}
	owner, owned := r.marks[of]
	if id != r.begun[key] && !owned {
		// Another session begins on an identify with another user, on the web also on an
		// event without the previous user, and nowhere else.
		other := slices.ContainsFunc(r.users[key], func(u string) bool { return u != m.UserID })
		logout := m.Channel == "web" && m.UserID == ""
		if m.Type != "identify" && !logout || !other || !marked {
			t.Errorf("%s %s begins session %q", m.Type, m.MessageID, session)
		}
	}
	switch {
	case marked && owned && owner != m.MessageID, !marked && owner == m.MessageID && owned:
		t.Errorf("the start mark of %v is on %s, and on %s: %v", of, owner, m.MessageID, marked)
	case !marked && !owned:
		t.Errorf("%s is the first of %v, without a start mark", m.MessageID, of)
	case marked:
		r.marks[of] = m.MessageID
	}
	if marked && refused {
		delete(r.marks, of)
	}
	if !refused {
		r.seen[of] = true
	}
	if m.UserID != "" && m.Type != "alias" {
		r.users[key] = append(r.users[key], m.UserID)
	}
}

// TestReplayMobile replays the life of mobile apps: installation, identify, background,
// restart. A session is started, or ended, after the first start of the app.
func TestReplayMobile(t *testing.T) {
	scenarios := map[string][]captured{}
	for _, c := range captures(t, "mobile-synthetic.jsonl") {
		scenarios[c.Scenario] = append(scenarios[c.Scenario], c)
	}
	if len(scenarios) != 10 {
		t.Fatalf("%d scenarios", len(scenarios))
	}
	for _, scenario := range slices.Sorted(maps.Keys(scenarios)) {
		for _, call := range []string{"startSession", "endSession"} {
			t.Run(scenario+"/"+call, func(t *testing.T) {
				p := proxytest.Run(t, proxytest.Setup{})
				// If the SDK tracks sessions itself, its restart ends the state that the
				// call set.
				automatic := strings.HasSuffix(scenario, "auto=true")
				first, restarts, id := true, 0, ""
				over := true // until the call
				for i, c := range scenarios[scenario] {
					if i == 1 {
						before := time.UnixMilli(scenarios[scenario][0].TMS + 1)
						id = control(t, p, call, c.messages(t)[0].key(), before, 0)
						over = false
					}
					restarts += strings.Count(c.Label, "COLD RESTART")
					got := proxytest.Messages(t, forward(t, p, &c))
					for j, m := range c.messages(t) {
						cold := m.Event == "Application Opened" && m.Properties["from_background"] == false
						over = over || cold && automatic
						want := own(&m)
						switch {
						case over:
						case call == "endSession":
							want = ""
						case first:
							want, first = id+"!", false
						default:
							want = id
						}
						if got[j].Session() != want {
							t.Errorf("%s: %s %q has session %q, want %q", c.Label, m.Type, m.Event, got[j].Session(), want)
						}
					}
				}
				if restarts != 2 || over != automatic {
					t.Errorf("%d restarts; over: %v", restarts, over)
				}
			})
		}
	}
}

// own is the session that the SDK itself put into an event.
func own(m *capturedMessage) string {
	id, ok := m.Context.SessionID.(float64)
	if !ok {
		return ""
	}
	text := strconv.FormatFloat(id, 'f', -1, 64)
	if m.Context.SessionStart == true {
		text += "!"
	}
	return text
}
