package integration_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// current requests the current session under wk1.
func (p *proxy) current(t *testing.T, anonymousID string) string {
	t.Helper()
	got := p.Send(t, proxytest.Request{Method: http.MethodGet, Path: "/v1/session?anonymousId=" + anonymousID, WriteKey: "wk1"})
	var answer struct{ SessionID json.Number }
	if err := json.Unmarshal([]byte(got.Body), &answer); err != nil || got.Status != http.StatusOK {
		t.Fatalf("session: %d %q", got.Status, got.Body)
	}
	return answer.SessionID.String()
}

func (p *proxy) mustLoad(t *testing.T, s proxytest.Setup) {
	t.Helper()
	if err := p.Load(t, s); err != nil {
		t.Fatal(err)
	}
}

// capacity is the global option with a capacity and one more line.
func capacity(n int, more string) string {
	return fmt.Sprintf("rudder_session {\n\tcapacity %d\n%s\n}", n, more)
}

func TestSessionsSurviveReloads(t *testing.T) {
	for store, kept := range map[string]bool{"memory": false, "file": true} {
		t.Run(store, func(t *testing.T) { testReloads(t, "store "+store, kept) })
	}
}

// testReloads reloads with a store, and at last without the module; kept says whether
// the sessions are still there when the module comes back.
func testReloads(t *testing.T, store string, kept bool) {
	p := run(t, proxytest.Setup{Global: capacity(10, store)})
	p.Start(t, "a1", id1)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890!")
	for _, s := range []proxytest.Setup{
		{}, {Session: "automatic proxy"}, {Session: "automatic off\nwrite_keys wk1"}, {Global: capacity(5, store)},
		{Global: capacity(5, store+"\nretention 10d")}, {Site: "handle {\n" + proxytest.Directives + "\n}"}, {},
	} {
		if s.Global == "" {
			s.Global = capacity(10, store)
		}
		p.mustLoad(t, s)
		p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
		p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
		p.Expect(t, "1234567890!", "1234567890")
	}
	// A table that no configuration uses any more is freed.
	p.mustLoad(t, proxytest.Setup{Site: "reverse_proxy $UPSTREAM"})
	proxytest.Serving.Wait(0)
	p.mustLoad(t, proxytest.Setup{Global: capacity(10, store)})
	p.Post(t, "/v1/track", proxytest.Event("a1", "m3"))
	if kept {
		p.Expect(t, "1234567890")
	} else {
		p.Expect(t, "")
	}
}

func TestCapacityChanges(t *testing.T) {
	p := run(t, proxytest.Setup{Global: capacity(3, "store memory")})
	for i := range 3 {
		p.Start(t, fmt.Sprint("a", i), id1)
	}
	p.Post(t, "/v1/track", proxytest.Event("a0", "m1")) // a1 is now the one not used for longest
	p.mustLoad(t, proxytest.Setup{Global: capacity(2, "store memory")})
	if got := [3]string{p.current(t, "a1"), p.current(t, "a2"), p.current(t, "a0")}; got != [3]string{"", "1234567890", "1234567890"} {
		t.Errorf("kept %q", got)
	}
	p.Start(t, "a3", id1)
	if got := [3]string{p.current(t, "a2"), p.current(t, "a0"), p.current(t, "a3")}; got != [3]string{"", "1234567890", "1234567890"} {
		t.Errorf("kept %q", got)
	}
	p.mustLoad(t, proxytest.Setup{Global: capacity(4, "store memory")})
	p.Start(t, "a4", id1)
	p.Start(t, "a5", id1)
	for _, anonymousID := range []string{"a0", "a3", "a4", "a5"} {
		if p.current(t, anonymousID) == "" {
			t.Errorf("%s was forgotten", anonymousID)
		}
	}
}

// TestFailingReload: a configuration that fails to start does not change the table or its
// capacity.
func TestFailingReload(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, more := range map[string]string{
		"port in use":      "http://:" + fmt.Sprint(taken.Addr().(*net.TCPAddr).Port) + " {\n\trespond ok\n}",
		"does not provide": "http://:$PORT2 {\n\t@x path_regexp (\n\trespond @x ok\n}",
	} {
		t.Run(name, func(t *testing.T) {
			f, other := newFaults(t), newFaults(t)
			for _, option := range []string{"store memory", f.option()} {
				p := run(t, proxytest.Setup{Global: capacity(3, option)})
				for i := range 3 {
					p.Start(t, fmt.Sprint("a", i), id1)
				}
				// Caddy starts and cleans up apps in any order.
				for range 20 {
					if p.Load(t, proxytest.Setup{Global: capacity(1, option), Session: "automatic off", More: more}) == nil {
						t.Fatal("it was loaded")
					}
					if p.Load(t, proxytest.Setup{Global: capacity(1, other.option()), More: more}) == nil {
						t.Fatal("it was loaded")
					}
				}
				if opened, closed := other.opened.Load(), other.closed.Load(); opened != closed {
					t.Errorf("%d stores were opened, %d closed", opened, closed)
				}
				for i := range 3 {
					p.Post(t, "/v1/track", proxytest.Event(fmt.Sprint("a", i), "m1"))
				}
				p.Expect(t, "1234567890!", "1234567890!", "1234567890!")
				p.Start(t, "a3", id1)
				if option == "store memory" && p.current(t, "a0") != "" {
					t.Error("the capacity is larger than it was")
				}
				p.mustLoad(t, proxytest.Setup{Global: capacity(3, option)})
				p.Post(t, "/v1/track", proxytest.Event("a3", "m2"))
				p.Expect(t, "1234567890!")
			}
		})
	}
}

// TestReloadUnderRequests reloads while requests are in different stages: the old store
// serves them, and is closed after the last one.
func TestReloadUnderRequests(t *testing.T) {
	for _, next := range []string{"same", "another", "none"} {
		t.Run(next, func(t *testing.T) {
			f := newFaults(t)
			s := proxytest.Setup{Global: capacity(10, f.option())}
			p := run(t, s)
			p.Start(t, "a1", id1)
			proxytest.Serving.Reset()

			// One request waits at the data plane, which then refuses it.
			arrived, answer := make(chan struct{}), make(chan struct{})
			p.Plane.ReplyWith(func(a *proxytest.Arrival) (int, string) {
				if strings.Contains(string(a.Body), "m1") {
					close(arrived)
					<-answer
					return http.StatusBadRequest, "refused\n"
				}
				return http.StatusOK, "ok"
			})
			received := p.Now
			done := make(chan struct{})
			go func() {
				defer close(done)
				got, err := p.Try(proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: proxytest.Event("a1", "m1"), Received: received})
				if err != nil || got.Status != http.StatusBadRequest {
					t.Errorf("%d %v", got.Status, err)
				}
			}()
			<-arrived
			// Another one has not sent its body yet.
			body := proxytest.Event("a1", "m2")
			c := p.dial(t)
			io.WriteString(c, head("/v1/track", fmt.Sprintf("Content-Length: %d\r\n", len(body))))
			proxytest.Serving.WaitBegun(2)

			switch next {
			case "another":
				s = proxytest.Setup{}
			case "none":
				s = proxytest.Setup{Site: "reverse_proxy $UPSTREAM"}
			}
			p.mustLoad(t, s)
			if f.closed.Load() > 0 {
				t.Error("the store was closed under a request")
			}
			close(answer)
			<-done
			io.WriteString(c, body)
			response := make([]byte, len("HTTP/1.1 200"))
			if _, err := io.ReadFull(c, response); err != nil || string(response) != "HTTP/1.1 200" {
				t.Errorf("answer %q %v", response, err)
			}
			proxytest.Serving.Wait(2)
			if next != "same" && f.closed.Load() == 0 {
				t.Error("the store was not closed")
			}
			if next == "same" {
				// m1 was refused, so m2 has the start mark.
				p.Expect(t, "1234567890!", "1234567890!")
			}
		})
	}
}

// TestReloadWritesWhatWaits: when a store is not used any more, its pending changes are
// written, and a later configuration with the same store finds them.
func TestReloadWritesWhatWaits(t *testing.T) {
	f := newFaults(t)
	f.interval = time.Hour
	own := proxytest.Setup{Global: capacity(10, f.own()), Session: "automatic proxy"}
	p := run(t, own)
	p.Start(t, "a1", id1)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	// The beginning of a session is written at once, its extension later.
	p.Post(t, "/v1/track", proxytest.Event("a2", "m3"))
	p.Post(t, "/v1/track", proxytest.Event("a2", "m4"))
	p.Plane.Take()
	p.mustLoad(t, own)
	if n := f.writesDone(); n != 3 {
		t.Errorf("%d writes", n)
	}
	p.mustLoad(t, proxytest.Setup{Site: "reverse_proxy $UPSTREAM"})
	proxytest.Serving.Wait(0)
	if n := f.writesDone(); n != 4 || f.closed.Load() != 1 {
		t.Errorf("%d writes, %d stores closed", n, f.closed.Load())
	}
	p.mustLoad(t, own)
	p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890", "1234567890!")
}

// TestReloadStorm reloads again and again while clients send events of a session: every
// answered event was stamped with it.
func TestReloadStorm(t *testing.T) {
	const reloads, clients = 60, 12
	for _, store := range []string{"memory", "file", "own", "shared"} {
		t.Run(store, func(t *testing.T) {
			option := "store " + store
			switch store {
			case "own":
				option = newFaults(t).own()
			case "shared":
				option = newFaults(t).option()
			}
			p := run(t, proxytest.Setup{Global: capacity(100, option)})
			p.Client.Transport.(*http.Transport).MaxIdleConnsPerHost = clients
			for c := range clients {
				p.Start(t, fmt.Sprint("a", c), int64(id1+c))
			}
			proxytest.Serving.Reset()
			received := p.Now
			var stop atomic.Bool
			var answered, lost atomic.Int32
			var group sync.WaitGroup
			for c := range clients {
				group.Go(func() {
					anonymousID := fmt.Sprint("a", c)
					for i := 0; !stop.Load(); i++ {
						// A connection may be lost when one listener takes over
						// from another: the SDK sends the event again.
						for {
							got, err := p.Try(proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: proxytest.Event(anonymousID, fmt.Sprint("m", i)), Received: received})
							if err == nil && (got.Status != http.StatusOK || got.Body != "ok") {
								t.Errorf("answered %d %q", got.Status, got.Body)
							}
							if err == nil {
								answered.Add(1)
								break
							}
							if lost.Add(1); stop.Load() {
								return
							}
						}
					}
				})
			}
			for i := range reloads {
				proxytest.Serving.WaitBegun(i * clients)
				s := proxytest.Setup{Global: capacity(100+i%2, option), Session: []string{"", "automatic off", "automatic proxy"}[i%3]}
				if err := p.Load(t, s); err != nil {
					t.Error(err)
					break
				}
			}
			stop.Store(true)
			group.Wait()
			marks := map[string]string{}
			arrived := map[string]bool{}
			for _, m := range proxytest.Messages(t, p.Plane.Take()...) {
				var c int
				fmt.Sscanf(m.AnonymousID, "a%d", &c)
				id, marked := strings.CutSuffix(m.Session(), "!")
				if id != fmt.Sprint(id1+c) {
					t.Errorf("%s %s has session %q", m.AnonymousID, m.MessageID, m.Session())
				}
				arrived[m.AnonymousID+" "+m.MessageID] = true
				if other, ok := marks[m.AnonymousID]; marked && ok && other != m.MessageID {
					t.Errorf("%s has start marks on %s and %s", m.AnonymousID, other, m.MessageID)
				}
				if marked {
					marks[m.AnonymousID] = m.MessageID
				}
			}
			if len(arrived) != int(answered.Load()) || len(marks) != clients {
				t.Errorf("%d events answered, %d arrived, %d start marks", answered.Load(), len(arrived), len(marks))
			}
			t.Logf("%d events answered, %d connections lost", answered.Load(), lost.Load())
		})
	}
}
