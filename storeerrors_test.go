package ruddersession_test

import (
	"fmt"
	"net/http"
	"testing"
)

// TestStoreErrors has every way in which a store may fail a user without a
// session that is known.
func TestStoreErrors(t *testing.T) {
	for name, fail := range map[string]func(*faults, bool){
		"reads": func(f *faults, on bool) { f.reads.Store(on) },
		"both":  func(f *faults, on bool) { f.reads.Store(on); f.writes.Store(on) },
	} {
		for _, mode := range []string{"pass", "reject"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) setup) {
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
	got := p.send(t, request{path: "/v1/track", writeKey: "wk1", body: body, header: origin})
	a := p.plane.take()
	if mode == "pass" {
		if got.status != http.StatusOK || len(a) != 1 || string(a[0].Body) != body {
			t.Errorf("%d, arrived: %v", got.status, a)
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
		"/v1/batch":        `{"batch":[` + event("a1", "m2") + `,{"type":"startSession","anonymousId":"a1"}]}`,
		"/v1/track":        `{"anonymousId":"a1","event":"startSession"}`,
	} {
		got := p.send(t, request{path: path, writeKey: "wk1", body: body, header: origin})
		checkProblem(t, path, got, http.StatusServiceUnavailable, "")
		checkCORS(t, path, got, "https://shop.example")
	}
	got = p.send(t, request{method: "GET", path: "/v1/session?anonymousId=a1", writeKey: "wk1"})
	checkProblem(t, "session", got, http.StatusServiceUnavailable, "")
	p.expect(t)

	fail(false)
	got = p.send(t, request{method: "GET", path: "/v1/session?anonymousId=a1", writeKey: "wk1"})
	if got.body != "{\"sessionId\":null}\n" {
		t.Errorf("a session was begun: %q", got.body)
	}
	p.post(t, "/v1/track", event("a1", "m3"))
	p.expect(t, "")
}

// TestStalledStore: every call of a store has a deadline.
func TestStalledStore(t *testing.T) {
	eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) setup) {
		p := run(t, with(""))
		f.stalls.Store(true)
		body := event("a1", "m1")
		p.post(t, "/v1/track", body)
		if a := p.plane.take(); len(a) != 1 || string(a[0].Body) != body {
			t.Errorf("arrived: %v", a)
		}
		checkProblem(t, "startSession", p.post(t, "/v1/startSession", body), http.StatusServiceUnavailable, "")
		f.stalls.Store(false)
	})
}

// TestWriteErrors: a control call that cannot be written has not happened. Nor
// has an event that gets a start mark, where others need to know of it; where
// nobody else does it goes on, and its mark is written when that can be done.
func TestWriteErrors(t *testing.T) {
	for _, mode := range []string{"pass", "reject"} {
		t.Run(mode, func(t *testing.T) {
			eachKind(t, func(t *testing.T, f *faults, kind string, with func(string) setup) {
				p := run(t, with("on_store_error "+mode))
				p.start(t, "a1", id1)
				f.writes.Store(true)
				first := event("a1", "m1")
				got := p.post(t, "/v1/track", first)
				switch kind + " " + mode {
				case "shared pass":
					if a := p.plane.take(); len(a) != 1 || string(a[0].Body) != first {
						t.Errorf("an event whose start mark could not be written arrived as %v", a)
					}
				case "shared reject":
					checkProblem(t, "event", got, http.StatusServiceUnavailable, "")
					p.expect(t)
				default:
					p.post(t, "/v1/track", event("a1", "m2"))
					p.expect(t, "1234567890!", "1234567890")
				}
				for _, path := range []string{"/v1/startSession", "/v1/endSession", "/v1/resetSession"} {
					checkProblem(t, path, p.post(t, path, `{"anonymousId":"a1"}`), http.StatusServiceUnavailable, "")
				}
				written := f.writesDone()
				f.writes.Store(false)
				if kind == "own" {
					f.waitWritten(written + 1)
					p.post(t, "/v1/track", event("a1", "m3"))
					p.post(t, "/v1/track", first)
					p.expect(t, "1234567890", "1234567890!")
					// So it is for the next process.
					p.mustLoad(t, setup{site: "reverse_proxy $UPSTREAM"})
					serving.wait(0)
					p.mustLoad(t, with(""))
					p.post(t, "/v1/track", event("a1", "m4"))
					p.post(t, "/v1/track", first)
					p.expect(t, "1234567890", "1234567890!")
					return
				}
				p.post(t, "/v1/track", event("a1", "m2"))
				p.post(t, "/v1/track", first)
				p.expect(t, "1234567890!", "1234567890")
			})
		})
	}
}

// TestDeadStoreAndKnownSession: an event that changes nothing needs no store.
func TestDeadStoreAndKnownSession(t *testing.T) {
	eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) setup) {
		p := run(t, with("on_store_error reject"))
		p.start(t, "a1", id1)
		p.post(t, "/v1/track", event("a1", "m1"))
		f.waitWritten(2)
		f.reads.Store(true)
		f.writes.Store(true)
		f.stalls.Store(true)
		for i := range 5 {
			p.post(t, "/v1/track", event("a1", fmt.Sprintf("n%d", i)))
		}
		p.post(t, "/v1/track", event("a1", "m1"))
		p.expect(t, "1234567890!", "1234567890", "1234567890", "1234567890", "1234567890", "1234567890", "1234567890!")
		if n := f.writesDone() - 2; n > 0 {
			t.Errorf("%d writes", n)
		}
		f.stalls.Store(false)
	})
}

// TestStoreFailsForOneUser: the events of others in the same batch are done.
func TestStoreFailsForOneUser(t *testing.T) {
	for _, mode := range []string{"pass", "reject"} {
		t.Run(mode, func(t *testing.T) {
			eachKind(t, func(t *testing.T, f *faults, kind string, with func(string) setup) {
				p := run(t, with("on_store_error "+mode))
				p.start(t, "good", id1)
				if kind == "shared" {
					p.start(t, "bad", id1)
				}
				// An event of a session that is known fails where it is written, of
				// one that is not where it is looked up.
				only := "bad"
				f.only.Store(&only)
				f.writes.Store(true)
				f.reads.Store(kind == "own")
				body := `{"batch":[` + event("bad", "m1") + "," + event("good", "m2") + `]}`
				got := p.post(t, "/v1/batch", body)
				if mode == "pass" {
					p.expect(t, "", "1234567890!")
				} else {
					checkProblem(t, "batch", got, http.StatusServiceUnavailable, "")
					p.expect(t)
				}
				f.writes.Store(false)
				f.reads.Store(false)
				p.post(t, "/v1/batch", body)
				p.expect(t, map[string]string{"own": "", "shared": "1234567890!"}[kind], "1234567890!")
			})
		})
	}
}

// TestLostRaces: a write that loses against others is tried again.
func TestLostRaces(t *testing.T) {
	eachKind(t, func(t *testing.T, f *faults, _ string, with func(string) setup) {
		p := run(t, with(""))
		f.losses.Store(5)
		p.start(t, "a1", id1)
		f.losses.Store(5)
		p.post(t, "/v1/track", event("a1", "m1"))
		p.expect(t, "1234567890!")
		f.waitWritten(2)
	})
}

// TestStoreDoesNotOpen: a configuration whose store cannot be had is refused,
// and the one before it goes on.
func TestStoreDoesNotOpen(t *testing.T) {
	f := newFaults(t)
	p := run(t, setup{})
	p.start(t, "a1", id1)
	f.opens.Store(true)
	if err := p.load(t, setup{global: "rudder_session {\n" + f.option() + "\n}"}); err == nil {
		t.Fatal("it was loaded")
	}
	p.post(t, "/v1/track", event("a1", "m1"))
	p.expect(t, "1234567890!")
}
