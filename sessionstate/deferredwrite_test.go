package sessionstate_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Extensions of a session are written together, after an eighth of its timeout or ten
// seconds; all other changes are written at once.
func TestExtensionsAreDelayed(t *testing.T) {
	for timeout, want := range map[int64]time.Duration{8000: time.Second, 30 * minutes: MaxWaitBudget} {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, flushing(100*time.Millisecond))
			policy := session.Policy{Automatic: session.AutomaticProxy, Timeout: timeout}
			track := func(at int64) {
				if _, err := give(p.a, "key", &policy, trackAt(base+at, session.MessageID(1+at))); err != nil {
					t.Error(err)
				}
			}
			track(0)
			if p.store.held("key") == nil {
				t.Error("its beginning was not written at once")
			}
			before := p.store.counts()
			for i := range int64(50) {
				track(1 + i)
			}
			pass(want - time.Millisecond)
			if got := p.store.since(before); got.swaps > 0 {
				t.Errorf("timeout %d: asked %+v", timeout, got)
			}
			pass(101 * time.Millisecond)
			if got := p.store.since(before); got != (counts{swaps: 1}) || last(p.store.held("key")) != 50 {
				t.Errorf("timeout %d: asked %+v, the store has %+v", timeout, got, p.store.held("key"))
			}
		})
	}
}

// Two processes extend a session: the later write finds a conflict, which is not
// reported as a failure, and continues from the other's state.
func TestExtensionsByTwoProcesses(t *testing.T) {
	for name, heard := range map[string]bool{"heard": true, "not heard": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := flushing(100 * time.Millisecond)
				o.Report = func(err error) {
					if err != nil {
						t.Errorf("reported %v", err)
					}
				}
				p := newPair(t, o)
				send(t, p.a, "key", trackAt(base, 1))
				send(t, p.b, "key", trackAt(base, 2))
				at := int64(0)
				for round := range session.MessageID(20) {
					at += 10 * minutes
					send(t, p.a, "key", trackAt(base+at, 10+2*round))
					pass(time.Second)
					at += 1000
					send(t, p.b, "key", trackAt(base+at, 11+2*round))
					pass(9*time.Second + 200*time.Millisecond)
					if got := last(p.store.held("key")); got != at-1000 {
						t.Errorf("the store has the state of %d at %d", got, at)
					}
					if heard {
						p.there.changed("key")
					}
					pass(time.Minute)
					if got := last(p.store.held("key")); got < at-1000 {
						t.Errorf("the store has the state of %d at %d", got, at)
					}
					p.here.changed("key")
				}
				for _, table := range []*Table{p.a, p.b} {
					if id := current(t, table, "key", base+at); id != base {
						t.Errorf("current is %d", id)
					}
				}
			})
		})
	}
}

// A process whose delayed write conflicts learns of the other's change by that, without
// a notification.
func TestExtensionFindsConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, flushing(100*time.Millisecond))
		send(t, p.a, "key", trackAt(base, 1))
		send(t, p.b, "key", trackAt(base+1, 2))
		send(t, p.a, "key", endAt(base+2, 3))
		if d := send(t, p.b, "key", trackAt(base+3, 4)); d.SessionID != base {
			t.Errorf("%+v", d)
		}
		pass(11 * time.Second)
		if d := send(t, p.b, "key", trackAt(base+4, 5)); d.Action != session.Clear {
			t.Errorf("%+v", d)
		}
		if s := p.store.held("key"); len(s.Segments) != 2 || s.Segments[1].Mode != session.Ended {
			t.Errorf("the store has %+v", s)
		}
	})
}

// A pending extension is not lost when the store is read, when a call writes the
// session, or when the connection to the store is lost.
func TestPendingExtensionsSurvive(t *testing.T) {
	const half = 25 * minutes
	for name, meanwhile := range map[string]func(t *testing.T, p *pair){
		"current": func(t *testing.T, p *pair) {
			if id := current(t, p.a, "key", base+half); id != base {
				t.Errorf("current is %d", id)
			}
		},
		"release": func(t *testing.T, p *pair) {
			if err := p.a.Release(t.Context(), "key", 1, base); err != nil {
				t.Error(err)
			}
		},
		"reset": func(t *testing.T, p *pair) {
			if d := send(t, p.a, "key", session.Event{Kind: session.Reset, Times: original(base + 2*half - 1), Message: 3}); d.SessionID == 0 {
				t.Errorf("%+v", d)
			}
		},
		"another key":     func(_ *testing.T, p *pair) { p.here.changed("another") },
		"lost connection": func(_ *testing.T, p *pair) { p.here.lost() },
		"close":           func(*testing.T, *pair) {},
		"failed call": func(t *testing.T, p *pair) {
			p.store.set(hooks{outcome: always(failed)})
			if _, err := give(p.a, "key", &proxied, endAt(base+half+1, 4)); err == nil {
				t.Error("the call did not fail")
			}
			p.store.set(hooks{})
		},
		"failed look": func(t *testing.T, p *pair) {
			p.store.set(hooks{onGet: func(context.Context, string) error { return errDown }})
			if _, err := p.a.Current(t.Context(), "key", base+half, &proxied); err == nil {
				t.Error("the call did not fail")
			}
			p.store.set(hooks{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFailStore(t)
			p := &pair{store: store, here: &processView{failStore: store}}
			p.a = delaying(p.here, Options{})
			send(t, p.a, "key", trackAt(base, 1))
			send(t, p.a, "key", trackAt(base+half, 2))
			meanwhile(t, p)
			if name != "close" {
				if d := send(t, p.a, "key", trackAt(base+2*half, 5)); d.Action != session.Stamp || name != "reset" && d.SessionID != base {
					t.Errorf("%+v", d)
				}
			}
			if err := p.a.Close(); err != nil {
				t.Error(err)
			}
			want := int64(2 * half)
			if name == "close" {
				want = half
			}
			if got := last(store.held("key")); got != want {
				t.Errorf("the store has the state of %d", got)
			}
			segments := store.held("key").Segments
			if name == "reset" && (len(segments) != 2 || segments[0].Last.Time != base+half) || name != "reset" && len(segments) != 1 {
				t.Errorf("the store has %+v", segments)
			}
		})
	}
}
