package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func openAt(t *testing.T, s *redistest.Server, timeout time.Duration) *Store {
	t.Helper()
	store, err := Open(Options{URLs: []string{s.URL()}, Prefix: "clock:", Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func swapNext(s *Store, version session.Version) (bool, error) {
	change := []sessionstate.Swap{{Key: "key", Old: version - 1, Next: &session.Session{Version: version}}}
	s.CompareAndSwap(context.Background(), change)
	return change[0].Done, change[0].Err
}

// The server's clock may be set, or another server may take its place: its new time is
// adopted, and a change that seemed to be too late is tried again.
func TestServerClockJumps(t *testing.T) {
	server := redistest.Start(t)
	const hour = 3600_000
	version := session.Version(0)
	for _, timeout := range []time.Duration{10 * time.Second, time.Minute} {
		store := openAt(t, server, timeout)
		if store.clock.known() {
			t.Error("the time of a server is known that was not asked")
		}
		// The error of the assumed server clock, behind or ahead.
		for _, wrong := range []int64{0, -hour, hour, -1000 * hour, -1, 1} {
			version++
			store.clock.offset.Add(wrong)
			if ok, err := swapNext(store, version); !ok || err != nil {
				t.Errorf("clock wrong by %d: %v, %v", wrong, ok, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if off := store.clock.deadline(ctx) - time.Now().Add(time.Minute).UnixMilli(); off > 2 || off < -10_000 {
				t.Errorf("clock wrong by %d: afterwards by %d ms", wrong, off)
			}
		}
	}
}

// A change whose deadline has passed is not carried out.
func TestTooLate(t *testing.T) {
	server := redistest.Start(t)
	store := openAt(t, server, 10*time.Second)
	if ok, err := swapNext(store, 1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	// Each answer corrects the clock, so the test does not wait for one: this deadline
	// has passed on any server clock.
	client := *store.link.client.Load()
	past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	next := &session.Session{Version: 2}
	swaps := []swap{{
		Swap: &sessionstate.Swap{Key: "key", Old: 1, Next: next}, expected: "\x00\x00\x00\x00\x00\x00\x00\x01",
		value: session.Append(nil, next), open: true,
	}}
	// The deadline is in the arguments; the call itself has time.
	err := store.send(latecomer{t.Context(), past}, client, swaps)
	if err != nil || swaps[0].Done || !errors.Is(swaps[0].Err, errLate) {
		t.Errorf("%v, %v, %v", err, swaps[0].Done, swaps[0].Err)
	}
	if s, err := store.Get(t.Context(), "key"); err != nil || s.Version != 1 {
		t.Errorf("the store has %+v, %v", s, err)
	}
}

// latecomer is a context that does not end, but reports another one's deadline.
type latecomer struct {
	context.Context
	past context.Context
}

func (c latecomer) Deadline() (time.Time, bool) { return c.past.Deadline() }

// The deadline that is sent to the server is never later than the caller's own: after
// that the caller has an error, and the change must not happen any more.
func TestDeadlineIsNotLater(t *testing.T) {
	for i := range 2000 {
		// Each of the three clocks is at a random point within a millisecond.
		c := newClock()
		c.start = c.start.Add(-time.Duration(i) * 211 * time.Microsecond)
		// The server answers with whole milliseconds of its own clock.
		begun := time.Now()
		origin := begun.Add(-time.Duration(i) * 497 * time.Microsecond)
		server := func(at time.Time) int64 { return 1_700_000_000_000 + at.Sub(origin).Milliseconds() }
		c.set(server(time.Now()))
		ctx, cancel := context.WithDeadline(t.Context(), begun.Add(time.Hour+time.Duration(i)*313*time.Microsecond))
		at, _ := ctx.Deadline()
		// A server that gets the change at the deadline or later refuses it.
		if told, late := c.deadline(ctx), server(at); late <= told {
			t.Errorf("at the deadline it is %d at the server, which was told %d", late, told)
			cancel()
			return
		}
		cancel()
	}
}
