package sessionstate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// ApplyNow answers whatever needs no wait for the store, and nothing else.
func TestApplyNow(t *testing.T) {
	steps := []struct {
		name string
		e    session.Event
		want []string // the kinds of stores
	}{
		{"unknown key", trackAt(base, 9), []string{"memory"}},
		{"start", startAt(base, 1), []string{"memory"}},
		{"mark", trackAt(base, 2), []string{"memory", "own"}},
		{"known", trackAt(base, 3), []string{"memory", "own", "shared"}},
		{"start again", startAt(base, 1), []string{"memory", "own"}},
		{"end", endAt(base+1, 4), []string{"memory"}},
	}
	for kind, store := range map[string]Store{
		"memory": memorystore.New(), "own": newFailStore(t),
		"shared": &processView{failStore: newFailStore(t)}, "strict": &processView{failStore: newFailStore(t), strict: true},
	} {
		t.Run(kind, func(t *testing.T) {
			table := open(t, store, Options{})
			for _, s := range steps {
				var d [1]session.Decision
				now := table.ApplyNow(new(Scratch), "key", request(base+1000, &policy, []session.Event{s.e}), d[:])
				if now != slices.Contains(s.want, kind) {
					t.Errorf("%s: %v", s.name, now)
				}
				if !now {
					d[0] = ask(t, table, "key", s.e)
				}
				if want := base; s.name != "unknown key" && s.name != "end" && d[0].SessionID != want {
					t.Errorf("%s: %+v", s.name, d[0])
				}
			}
		})
	}
}

// An event of an unknown key needs the store; an event of a known one does not,
// whatever it changes.
func TestEventsInADeadStoreOfTheirOwn(t *testing.T) {
	store := newFailStore(t)
	table := open(t, store, Options{})
	ask(t, table, "known", startAt(base, 1))
	before := store.held("known")
	down := func(context.Context, string) error { return errDown }
	store.set(hooks{onGet: down, outcome: always(failed)})
	for name, call := range map[string]func() error{
		"event":   func() error { _, err := give(table, "unknown", &policy, trackAt(base, 5)); return err },
		"call":    func() error { _, err := give(table, "unknown", &policy, startAt(base, 5)); return err },
		"release": func() error { return table.Release(t.Context(), "unknown", 5, base) },
		"current": func() error { _, err := table.Current(t.Context(), "unknown", base, &policy); return err },
		"call of a known key": func() error {
			_, err := give(table, "known", &policy, startAt(base+1, 6))
			return err
		},
	} {
		if err := call(); !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := ask(t, table, "known", trackAt(base+1, 2)); d.SessionID != base || !d.Start {
		t.Errorf("%+v", d)
	}
	if err := table.Release(t.Context(), "known", 2, base); err != nil {
		t.Error(err)
	}
	if d := ask(t, table, "known", trackAt(base+1, 3)); d.SessionID != base || !d.Start {
		t.Errorf("%+v", d)
	}
	if len(store.all()) != 1 || store.held("known") != before {
		t.Errorf("the store has %v", store.all())
	}
	store.set(hooks{})
	if d := ask(t, table, "unknown", trackAt(base, 5)); d.Action != session.Keep {
		t.Errorf("%+v", d)
	}
}

// In a store that only this process changes, a known session is never read again.
func TestOwnSessionsAreNotAskedFor(t *testing.T) {
	store := newFailStore(t)
	table := delaying(store, Options{})
	ask(t, table, "key", startAt(base, 1))
	for i := range session.MessageID(50) {
		ask(t, table, "key", trackAt(base+1, 10+i))
		ask(t, table, "nobody", trackAt(base+1, 10+i))
		if id := current(t, table, "key", base+1); id != base {
			t.Errorf("current is %d", id)
		}
	}
	if got := store.counts(); got != (counts{gets: 2, swaps: 1}) {
		t.Errorf("asked %+v", got)
	}
	ask(t, table, "key", startAt(base+2, 2))
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	if got := store.counts(); got != (counts{gets: 2, swaps: 2}) {
		t.Errorf("asked %+v", got)
	}
}

// A control call gives up if every write conflicts.
func TestContendedOwnStore(t *testing.T) {
	store := newFailStore(t)
	table := open(t, store, Options{})
	ask(t, table, "key", startAt(base, 1))
	store.set(hooks{outcome: always(refused)})
	if _, err := give(table, "key", &policy, startAt(base, 3)); !errors.Is(err, ErrContended) {
		t.Error(err)
	}
	store.set(hooks{})
	if d := ask(t, table, "key", trackAt(base+1, 4)); d.SessionID != base {
		t.Errorf("%+v", d)
	}
}

// A cancelled request changes nothing.
func TestCancelledCallOfAnOwnStore(t *testing.T) {
	store := newFailStore(t)
	table := delaying(store, Options{Deadline: time.Hour})
	ask(t, table, "key", startAt(base, 1))
	ctx, cancel := context.WithCancel(t.Context())
	store.set(hooks{
		onSwap:  func(ctx context.Context, _ []Swap) error { cancel(); return nil },
		outcome: func(c *Swap) outcome { return appliedLate },
	})
	err := table.Apply(ctx, "key", request(base+10, &policy, []session.Event{endAt(base+5, 2)}), make([]session.Decision, 1))
	if err == nil {
		t.Error("it was answered")
	}
	store.set(hooks{})
	for _, when := range []string{"then", "in the next process"} {
		if id := current(t, table, "key", base+10); id != base {
			t.Errorf("current is %d %s", id, when)
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
		store = store.reopened(t)
		table = delaying(store, Options{})
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
}

// forgetful records the retention that it is given.
type forgetful struct {
	*failStore
	retentions []int64
}

func (f *forgetful) Retain(ms int64) { f.retentions = append(f.retentions, ms) }

func TestRetentionIsPassedOn(t *testing.T) {
	store := &forgetful{failStore: newFailStore(t)}
	table := open(t, store, Options{Settings: Settings{Retention: 5}})
	table.Configure(Settings{Capacity: 1, Retention: 7, FlushInterval: long})
	if got := fmt.Sprint(store.retentions); got != "[5 7]" {
		t.Errorf("told %s", got)
	}
}

// The time when a key was last seen is written now and then, so that the store does
// not forget keys in use.
func TestSeenIsWrittenNowAndThen(t *testing.T) {
	for kind, wrap := range map[string]func(*failStore) Store{
		"own":    func(f *failStore) Store { return f },
		"shared": func(f *failStore) Store { return &processView{failStore: f} },
	} {
		t.Run(kind, func(t *testing.T) {
			store := newFailStore(t)
			table := delaying(wrap(store), Options{})
			p := session.Policy{Timeout: 30 * minutes, Retention: 1600}
			at := func(now int64, m session.MessageID) {
				t.Helper()
				if err := table.Apply(t.Context(), "key", request(now, &p, []session.Event{trackAt(base, m)}), make([]session.Decision, 1)); err != nil {
					t.Error(err)
				}
			}
			ask(t, table, "key", startAt(base, 1)) // at base+1000
			at(base+1000, 2)
			before := store.counts()
			at(base+1100, 3) // a sixteenth of the retention: not yet
			if err := table.Close(); err != nil {
				t.Error(err)
			}
			if seen := store.held("key").Seen - base; seen != 1000 {
				t.Errorf("seen at %d", seen)
			}
			store = store.reopened(t)
			table = delaying(wrap(store), Options{})
			for i := range session.MessageID(100) {
				at(base+1101+int64(i), 10+i)
			}
			if n := store.counts().swaps; n > 0 {
				t.Errorf("%d writes", n)
			}
			if err := table.Close(); err != nil {
				t.Error(err)
			}
			if seen := store.held("key").Seen - base; seen != 1101 || store.counts().swaps != 1 {
				t.Errorf("seen at %d, %+v, %+v", seen, store.counts(), before)
			}
		})
	}
}
