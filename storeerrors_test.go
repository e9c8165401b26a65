package ruddersession_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
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
				f := newFaults(t)
				p := run(t, setup{global: "rudder_session {\n" + f.option() + "\n}", session: "automatic off\non_store_error " + mode})
				fail(f, true)
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

				fail(f, false)
				got = p.send(t, request{method: "GET", path: "/v1/session?anonymousId=a1", writeKey: "wk1"})
				if got.body != "{\"sessionId\":null}\n" {
					t.Errorf("a session was begun: %q", got.body)
				}
				p.post(t, "/v1/track", event("a1", "m3"))
				p.expect(t, "")
			})
		}
	}
}

// TestStalledStore: every call of a store has a deadline.
func TestStalledStore(t *testing.T) {
	f := newFaults(t)
	p := run(t, setup{global: "rudder_session {\n" + f.option() + "\n}"})
	f.stalls.Store(true)
	body := event("a1", "m1")
	p.post(t, "/v1/track", body)
	if a := p.plane.take(); len(a) != 1 || string(a[0].Body) != body {
		t.Errorf("arrived: %v", a)
	}
	checkProblem(t, "startSession", p.post(t, "/v1/startSession", body), http.StatusServiceUnavailable, "")
}

// TestWriteErrors: what cannot be written has not happened.
func TestWriteErrors(t *testing.T) {
	f := newFaults(t)
	p := run(t, setup{global: "rudder_session {\n" + f.option() + "\n}"})
	p.start(t, "a1", id1)
	f.writes.Store(true)
	first := event("a1", "m1")
	p.post(t, "/v1/track", first)
	if a := p.plane.take(); len(a) != 1 || string(a[0].Body) != first {
		t.Errorf("an event whose start mark could not be written arrived as %v", a)
	}
	for _, path := range []string{"/v1/startSession", "/v1/endSession", "/v1/resetSession"} {
		checkProblem(t, path, p.post(t, path, `{"anonymousId":"a1"}`), http.StatusServiceUnavailable, "")
	}
	f.writes.Store(false)
	p.post(t, "/v1/track", event("a1", "m2"))
	p.post(t, "/v1/track", first)
	p.expect(t, "1234567890!", "1234567890")
}

// TestDelayedWriteErrors: in a store of Caddy's own what no control call made is
// written later, for as long as it takes.
func TestDelayedWriteErrors(t *testing.T) {
	f := newFaults(t)
	own := setup{global: "rudder_session {\n" + f.own() + "\n}", session: "on_store_error reject"}
	p := run(t, own)
	p.start(t, "a1", id1)
	f.writes.Store(true)
	p.post(t, "/v1/track", event("a1", "m1"))
	p.post(t, "/v1/track", event("a1", "m2"))
	p.expect(t, "1234567890!", "1234567890")
	for _, path := range []string{"/v1/startSession", "/v1/endSession", "/v1/resetSession"} {
		checkProblem(t, path, p.post(t, path, `{"anonymousId":"a1"}`), http.StatusServiceUnavailable, "")
	}
	p.post(t, "/v1/track", event("a1", "m3"))
	p.expect(t, "1234567890")
	written := f.written.Load()
	f.writes.Store(false)
	redistest.Await(t, "the start mark is written", func() bool { return f.written.Load() > written })
	p.post(t, "/v1/track", event("a1", "m1"))
	p.expect(t, "1234567890!")
}

// TestDeadStoreAndKnownSession: an event that changes nothing needs no store.
func TestDeadStoreAndKnownSession(t *testing.T) {
	f := newFaults(t)
	p := run(t, setup{global: "rudder_session {\n" + f.option() + "\n}", session: "on_store_error reject"})
	p.start(t, "a1", id1)
	p.post(t, "/v1/track", event("a1", "m1"))
	written := f.written.Load()
	f.reads.Store(true)
	f.writes.Store(true)
	f.stalls.Store(true)
	for i := range 5 {
		p.post(t, "/v1/track", event("a1", fmt.Sprintf("n%d", i)))
	}
	p.post(t, "/v1/track", event("a1", "m1"))
	p.expect(t, "1234567890!", "1234567890", "1234567890", "1234567890", "1234567890", "1234567890", "1234567890!")
	if n := f.written.Load() - written; n > 0 {
		t.Errorf("%d writes", n)
	}
}

// TestStoreFailsForOneUser: the events of others in the same batch are done.
func TestStoreFailsForOneUser(t *testing.T) {
	for _, mode := range []string{"pass", "reject"} {
		t.Run(mode, func(t *testing.T) {
			f := newFaults(t)
			p := run(t, setup{global: "rudder_session {\n" + f.option() + "\n}", session: "on_store_error " + mode})
			p.start(t, "good", id1)
			p.start(t, "bad", id1)
			only := "bad"
			f.only.Store(&only)
			f.writes.Store(true)
			body := `{"batch":[` + event("bad", "m1") + "," + event("good", "m2") + `]}`
			got := p.post(t, "/v1/batch", body)
			if mode == "pass" {
				p.expect(t, "", "1234567890!")
			} else {
				checkProblem(t, "batch", got, http.StatusServiceUnavailable, "")
				p.expect(t)
			}
			f.writes.Store(false)
			p.post(t, "/v1/batch", body)
			p.expect(t, "1234567890!", "1234567890!")
		})
	}
}

// TestLostRaces: a write that loses against others is tried again.
func TestLostRaces(t *testing.T) {
	f := newFaults(t)
	p := run(t, setup{global: "rudder_session {\n" + f.option() + "\n}"})
	f.losses.Store(5)
	p.start(t, "a1", id1)
	f.losses.Store(5)
	p.post(t, "/v1/track", event("a1", "m1"))
	p.expect(t, "1234567890!")
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
