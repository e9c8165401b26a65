package sessionstate_test

import (
	"errors"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// pair is two tables a and b of two processes, here and there, over one store. The test
// decides when each is notified of the other's changes.
type pair struct {
	store       *failStore
	here, there *processView
	a, b        *Table
}

func newPair(t *testing.T, o Options) *pair {
	p := &pair{store: newFailStore(t)}
	p.here, p.there = &processView{failStore: p.store}, &processView{failStore: p.store}
	p.a, p.b = open(t, p.here, o), open(t, p.there, o)
	return p
}

func TestOthersAreHeard(t *testing.T) {
	p := newPair(t, Options{})
	steps := []struct {
		name string
		do   func()
		want session.Decision
	}{
		{"nothing", func() {}, session.Decision{}},
		{"start", func() { ask(t, p.a, "key", startAt(base, 1)) }, session.Decision{Action: session.Stamp, SessionID: base, Start: true}},
		{"another start", func() { ask(t, p.a, "key", startAt(base+1, 2)) }, session.Decision{Action: session.Stamp, SessionID: base + 1, Start: true}},
		{"a mark given", func() {
			ask(t, p.a, "key", startAt(base+2, 3))
			ask(t, p.a, "key", trackAt(base+3, 4))
		}, session.Decision{Action: session.Stamp, SessionID: base + 2}},
		{"its release", func() {
			if err := p.a.Release(t.Context(), "key", 4, base+2); err != nil {
				t.Error(err)
			}
		}, session.Decision{Action: session.Stamp, SessionID: base + 2, Start: true}},
		{"end", func() { ask(t, p.a, "key", endAt(base+4, 5)) }, session.Decision{Action: session.Clear}},
	}
	for i, s := range steps {
		s.do()
		p.there.changed("key")
		if d := ask(t, p.b, "key", trackAt(base+10, session.MessageID(100+i))); d != s.want {
			t.Errorf("%s: %+v", s.name, d)
		}
		p.here.changed("key")
	}
}

// A session, or its absence, is not read again until the store reports a change.
func TestSharedSessionsAreCached(t *testing.T) {
	for name, stamp := range map[string]bool{"a session": true, "no session": false} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, Options{})
			if stamp {
				ask(t, p.a, "key", startAt(base, 1))
				ask(t, p.a, "key", trackAt(base, 2))
			}
			before := p.store.counts()
			look := func(want int) {
				t.Helper()
				for i := range session.MessageID(10) {
					if d := ask(t, p.b, "key", trackAt(base+1, 10+i)); (d.Action == session.Stamp) != stamp {
						t.Errorf("%+v", d)
					}
				}
				if got := p.store.since(before); got != (counts{gets: want}) {
					t.Errorf("asked %+v, want %d", got, want)
				}
			}
			look(1)
			p.there.changed("another key")
			look(1)
			p.there.changed("key")
			look(2)
			if n := p.b.Len(); n != 1 {
				t.Errorf("%d keys are known", n)
			}
			p.there.lost()
			if n := p.b.Len(); n != 0 {
				t.Errorf("%d keys are known", n)
			}
			look(3)
		})
	}
}

// Where nothing may be cached, each event reads the store, and sees the most recent
// changes by others.
func TestStrict(t *testing.T) {
	store := newFailStore(t)
	a := open(t, &processView{failStore: store, strict: true}, Options{})
	b := open(t, &processView{failStore: store, strict: true}, Options{})
	for i := range session.MessageID(10) {
		at := base + int64(i)*10
		ask(t, a, "key", startAt(at, 10*i+1))
		before := store.counts()
		if d := ask(t, b, "key", trackAt(at+1, 10*i+2)); d.SessionID != at || !d.Start {
			t.Errorf("%+v", d)
		}
		if d := ask(t, b, "key", trackAt(at+1, 10*i+3)); d.SessionID != at || d.Start {
			t.Errorf("%+v", d)
		}
		if got := store.since(before); got != (counts{gets: 2, swaps: 1}) {
			t.Errorf("asked %+v", got)
		}
	}
	// Extensions are written at once too.
	before := store.counts()
	send(t, b, "another", trackAt(base, 1))
	send(t, b, "another", trackAt(base+1, 2))
	if got := store.since(before); got != (counts{gets: 2, swaps: 2}) || last(store.held("another")) != 1 {
		t.Errorf("asked %+v, the store has %+v", got, store.held("another"))
	}
	if a.Len()+b.Len() > 0 {
		t.Errorf("%d and %d keys are known", a.Len(), b.Len())
	}
}

// Control calls, releases and reads of the current session see the changes by others
// even before they are reported, and cache them for events.
func TestCallsReadFresh(t *testing.T) {
	for name, call := range map[string]func(t *testing.T, p *pair){
		"current": func(t *testing.T, p *pair) {
			if id := current(t, p.b, "key", base+20); id != base+10 {
				t.Errorf("current is %d", id)
			}
		},
		"start repeated": func(t *testing.T, p *pair) {
			if d := ask(t, p.b, "key", startAt(base+10, 10)); !d.Repeated || d.SessionID != base+10 {
				t.Errorf("%+v", d)
			}
		},
		"release": func(t *testing.T, p *pair) {
			if err := p.b.Release(t.Context(), "key", 11, base+10); err != nil {
				t.Error(err)
			}
			if d := ask(t, p.b, "key", trackAt(base+20, 20)); !d.Start {
				t.Errorf("%+v", d)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, Options{})
			ask(t, p.a, "key", startAt(base, 1))
			ask(t, p.b, "key", trackAt(base, 2))
			p.here.changed("key")
			ask(t, p.a, "key", startAt(base+10, 10))
			ask(t, p.a, "key", trackAt(base+10, 11))
			// Without a notification, an event gets the session as it was.
			if d := ask(t, p.b, "key", trackAt(base+11, 12)); d.SessionID != base {
				t.Errorf("%+v", d)
			}
			call(t, p)
			if d := ask(t, p.b, "key", trackAt(base+21, 21)); d.SessionID != base+10 {
				t.Errorf("%+v", d)
			}
		})
	}
}

// A change that was not reported is noticed when a write conflicts with it.
func TestUnreportedChangeIsNoticedAtAWrite(t *testing.T) {
	p := newPair(t, Options{})
	ask(t, p.a, "key", startAt(base, 1))
	if id := current(t, p.b, "key", base+1); id != base {
		t.Errorf("current is %d", id)
	}
	ask(t, p.a, "key", endAt(base+10, 2))
	if d := ask(t, p.b, "key", trackAt(base+20, 3)); d.Action != session.Clear {
		t.Errorf("%+v", d)
	}
}

// The result of a slow call of the store must not be cached if others have changed the
// session in the meantime.
func TestSlowCallsAndOthers(t *testing.T) {
	for name, slow := range map[string]struct {
		known bool // the session is cached before
		// hold makes reads, or writes, slow.
		hold func(arrived chan<- struct{}, answer <-chan struct{}) hooks
		call session.Event
	}{
		"absence read": {false, holdGets, trackAt(base+1, 2)},
		"session read": {true, holdGets, trackAt(base+1, 2)},
		"mark written": {true, holdSwaps, trackAt(base+1, 2)},
		"call written": {true, holdSwaps, startAt(base+5, 2)},
	} {
		for notification, notify := range map[string]func(p *pair){
			"changed": func(p *pair) { p.there.changed("key") },
			"lost":    func(p *pair) { p.there.lost() },
		} {
			t.Run(name+"/"+notification, func(t *testing.T) {
				p := newPair(t, Options{})
				if slow.known {
					ask(t, p.a, "key", startAt(base, 1))
				}
				arrived, answer := make(chan struct{}), make(chan struct{})
				p.store.set(slow.hold(arrived, answer))
				answered := make(chan struct{})
				go func() {
					defer close(answered)
					ask(t, p.b, "key", slow.call)
				}()
				<-arrived
				p.store.set(hooks{})
				ask(t, p.a, "key", startAt(base+10, 3))
				notify(p)
				// Other requests of the same process wait, or read for themselves.
				close(answer)
				<-answered
				before := p.store.counts()
				if d := ask(t, p.b, "key", trackAt(base+20, 4)); d.SessionID != base+10 || !d.Start {
					t.Errorf("%+v", d)
				}
				if got := p.store.since(before); got != (counts{gets: 1, swaps: 1}) {
					t.Errorf("asked %+v", got)
				}
			})
		}
	}
}

// holdGets delays the answer of a completed read, holdSwaps that of a completed write.
func holdGets(arrived chan<- struct{}, answer <-chan struct{}) hooks {
	return hooks{gotten: func(string) {
		arrived <- struct{}{}
		<-answer
	}}
}

func holdSwaps(arrived chan<- struct{}, answer <-chan struct{}) hooks {
	return hooks{swapped: func([]Swap) {
		arrived <- struct{}{}
		<-answer
	}}
}

// After a lost answer the outcome of the write is unknown, so the session is read
// again.
func TestLostAnswerInASharedStore(t *testing.T) {
	for name, touched := range map[string]bool{"clean": false, "touched": true} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, Options{})
			send(t, p.a, "key", trackAt(base, 1))
			if touched {
				send(t, p.a, "key", trackAt(base+1, 2))
			}
			p.store.set(hooks{outcome: always(answerLost)})
			if _, err := give(p.a, "key", &proxied, endAt(base+5, 3)); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
			p.store.set(hooks{})
			for table, who := range map[*Table]string{p.a: "here", p.b: "there"} {
				if d := send(t, table, "key", trackAt(base+6, 4)); d.Action != session.Clear {
					t.Errorf("%s: %+v", who, d)
				}
			}
		})
	}
}
