package integration_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestStoreErrors: all ways in which a store may fail for a user whose session is not in
// memory.
func TestStoreErrors(t *testing.T) {
	for name, fail := range map[string]func(*faults, bool){
		"reads": func(f *faults, on bool) { f.reads.Store(on) },
		"both":  func(f *faults, on bool) { f.reads.Store(on); f.writes.Store(on) },
	} {
		for _, mode := range []string{"pass", "reject"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) proxytest.Setup) {
					p := run(t, with("automatic off\non_store_error "+mode))
					testStoreErrors(t, p, mode, func(on bool) { fail(f, on) })
				})
			})
		}
	}
}

func testStoreErrors(t *testing.T, p *proxy, mode string, fail func(bool)) {
	fail(true)
	body := `{"anonymousId":"a1","messageId":"m1","context":{"sessionId":5}}`
	got := p.Send(t, proxytest.Request{Path: "/v1/track", WriteKey: "wk1", Body: body, Header: origin})
	a := p.Plane.Take()
	if mode == "pass" {
		if got.Status != http.StatusOK || len(a) != 1 || string(a[0].Body) != body {
			t.Errorf("%d, arrived: %v", got.Status, a)
		}
	} else {
		checkProblem(t, "event", got, http.StatusServiceUnavailable, "")
		checkCORS(t, "event", got, "https://shop.example")
		if len(a) > 0 {
			t.Errorf("arrived: %q", a[0].Body)
		}
	}
	for path, body := range map[string]string{
		"/v1/startSession": `{"anonymousId":"a1"}`,
		"/v1/endSession":   `{"anonymousId":"a1"}`,
		"/v1/batch":        `{"batch":[` + proxytest.Event("a1", "m2") + `,{"type":"startSession","anonymousId":"a1"}]}`,
		"/v1/track":        `{"anonymousId":"a1","event":"startSession"}`,
	} {
		got := p.Send(t, proxytest.Request{Path: path, WriteKey: "wk1", Body: body, Header: origin})
		checkProblem(t, path, got, http.StatusServiceUnavailable, "")
		checkCORS(t, path, got, "https://shop.example")
	}
	got = p.Send(t, proxytest.Request{Method: "GET", Path: "/v1/session?anonymousId=a1", WriteKey: "wk1"})
	checkProblem(t, "session", got, http.StatusServiceUnavailable, "")
	p.Expect(t)

	fail(false)
	got = p.Send(t, proxytest.Request{Method: "GET", Path: "/v1/session?anonymousId=a1", WriteKey: "wk1"})
	if got.Body != "{\"sessionId\":null}\n" {
		t.Errorf("a session was begun: %q", got.Body)
	}
	p.Post(t, "/v1/track", proxytest.Event("a1", "m3"))
	p.Expect(t, "")
}

// TestStalledStore: every call of a store has a deadline.
func TestStalledStore(t *testing.T) {
	eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) proxytest.Setup) {
		p := run(t, with(""))
		f.stalls.Store(true)
		body := proxytest.Event("a1", "m1")
		p.Post(t, "/v1/track", body)
		if a := p.Plane.Take(); len(a) != 1 || string(a[0].Body) != body {
			t.Errorf("arrived: %v", a)
		}
		checkProblem(t, "startSession", p.Post(t, "/v1/startSession", body), http.StatusServiceUnavailable, "")
		f.stalls.Store(false)
	})
}

// TestWriteErrors: a control call that cannot be written has no effect. With a shared
// store the same holds for an event that takes a start mark; otherwise the event is
// served, and its mark is written later.
func TestWriteErrors(t *testing.T) {
	for _, mode := range []string{"pass", "reject"} {
		t.Run(mode, func(t *testing.T) {
			eachKind(t, func(t *testing.T, f *faults, kind string, with func(string) proxytest.Setup) {
				p := run(t, with("on_store_error "+mode))
				p.Start(t, "a1", id1)
				f.writes.Store(true)
				first := proxytest.Event("a1", "m1")
				got := p.Post(t, "/v1/track", first)
				switch kind + " " + mode {
				case "shared pass":
					if a := p.Plane.Take(); len(a) != 1 || string(a[0].Body) != first {
						t.Errorf("an event whose start mark could not be written arrived as %v", a)
					}
				case "shared reject":
					checkProblem(t, "event", got, http.StatusServiceUnavailable, "")
					p.Expect(t)
				default:
					p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
					p.Expect(t, "1234567890!", "1234567890")
				}
				for _, path := range []string{"/v1/startSession", "/v1/endSession", "/v1/resetSession"} {
					checkProblem(t, path, p.Post(t, path, `{"anonymousId":"a1"}`), http.StatusServiceUnavailable, "")
				}
				written := f.writesDone()
				f.writes.Store(false)
				if kind == "own" {
					f.waitWritten(written + 1)
					p.Post(t, "/v1/track", proxytest.Event("a1", "m3"))
					p.Post(t, "/v1/track", first)
					p.Expect(t, "1234567890", "1234567890!")
					// The next process sees the same.
					p.mustLoad(t, proxytest.Setup{Site: "reverse_proxy $UPSTREAM"})
					proxytest.Serving.Wait(0)
					p.mustLoad(t, with(""))
					p.Post(t, "/v1/track", proxytest.Event("a1", "m4"))
					p.Post(t, "/v1/track", first)
					p.Expect(t, "1234567890", "1234567890!")
					return
				}
				p.Post(t, "/v1/track", proxytest.Event("a1", "m2"))
				p.Post(t, "/v1/track", first)
				p.Expect(t, "1234567890!", "1234567890")
			})
		})
	}
}

// TestDeadStoreAndKnownSession: an event that changes nothing needs no store.
func TestDeadStoreAndKnownSession(t *testing.T) {
	eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) proxytest.Setup) {
		p := run(t, with("on_store_error reject"))
		p.Start(t, "a1", id1)
		p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
		f.waitWritten(2)
		f.reads.Store(true)
		f.writes.Store(true)
		f.stalls.Store(true)
		for i := range 5 {
			p.Post(t, "/v1/track", proxytest.Event("a1", fmt.Sprintf("n%d", i)))
		}
		p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
		p.Expect(t, "1234567890!", "1234567890", "1234567890", "1234567890", "1234567890", "1234567890", "1234567890!")
		if n := f.writesDone() - 2; n > 0 {
			t.Errorf("%d writes", n)
		}
		f.stalls.Store(false)
	})
}

// TestStoreFailsForOneUser: the events of others in the same batch are not affected.
func TestStoreFailsForOneUser(t *testing.T) {
	for _, mode := range []string{"pass", "reject"} {
		t.Run(mode, func(t *testing.T) {
			eachKind(t, func(t *testing.T, f *faults, kind string, with func(string) proxytest.Setup) {
				p := run(t, with("on_store_error "+mode))
				p.Start(t, "good", id1)
				if kind == "shared" {
					p.Start(t, "bad", id1)
				}
				// An event of a known session fails at the write, one of an unknown session
				// at the read.
				only := "bad"
				f.only.Store(&only)
				f.writes.Store(true)
				f.reads.Store(kind == "own")
				body := `{"batch":[` + proxytest.Event("bad", "m1") + "," + proxytest.Event("good", "m2") + `]}`
				got := p.Post(t, "/v1/batch", body)
				if mode == "pass" {
					p.Expect(t, "", "1234567890!")
				} else {
					checkProblem(t, "batch", got, http.StatusServiceUnavailable, "")
					p.Expect(t)
				}
				f.writes.Store(false)
				f.reads.Store(false)
				p.Post(t, "/v1/batch", body)
				p.Expect(t, map[string]string{"own": "", "shared": "1234567890!"}[kind], "1234567890!")
			})
		})
	}
}

// TestLostRaces: a write that conflicts is tried again.
func TestLostRaces(t *testing.T) {
	eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) proxytest.Setup) {
		p := run(t, with(""))
		f.losses.Store(5)
		p.Start(t, "a1", id1)
		f.losses.Store(5)
		p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
		p.Expect(t, "1234567890!")
		f.waitWritten(2)
	})
}

// TestStoreDoesNotOpen: a configuration whose store cannot be opened is refused, and the
// previous one stays in use.
func TestStoreDoesNotOpen(t *testing.T) {
	f := newFaults(t)
	p := run(t, proxytest.Setup{})
	p.Start(t, "a1", id1)
	f.opens.Store(true)
	if err := p.Load(t, proxytest.Setup{Global: "rudder_session {\n" + f.option() + "\n}"}); err == nil {
		t.Fatal("it was loaded")
	}
	p.Post(t, "/v1/track", proxytest.Event("a1", "m1"))
	p.Expect(t, "1234567890!")
}
