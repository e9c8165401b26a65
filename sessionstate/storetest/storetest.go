// Package storetest has the tests that every [sessionstate.Store] must pass.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Run tests a store. open makes an empty one with room for a thousand sessions;
// it is called for each test and Run closes what it returns.
func Run(t *testing.T, open func(t *testing.T) sessionstate.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s store)
	}{
		{"Unknown", unknown},
		{"RoundTrip", roundTrip},
		{"Keys", keys},
		{"Swap", swap},
		{"Stale", stale},
		{"SwapMany", swapMany},
		{"FirstWins", firstWins},
		{"NoUpdateIsLost", noUpdateIsLost},
		{"Delete", deleted},
		{"Scan", scan},
		{"ScanStops", scanStops},
		{"ScanAmongChanges", scanAmongChanges},
		{"Cancelled", cancelled},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test.run(t, store{s})
		})
	}
}

// store fails the test when the store returns an error. Its methods may be called
// in any goroutine.
type store struct{ sessionstate.Store }

func (s store) compareAndSwap(ctx context.Context, key string, old session.Version, next *session.Session) (bool, error) {
	change := []sessionstate.Swap{{Key: key, Old: old, Next: next}}
	s.CompareAndSwap(ctx, change)
	return change[0].Done, change[0].Err
}

func (s store) get(t *testing.T, key string) *session.Session {
	t.Helper()
	v, err := s.Get(t.Context(), key)
	if err != nil {
		t.Errorf("get %q: %v", key, err)
	}
	return v
}

func (s store) swap(t *testing.T, key string, old session.Version, next *session.Session, want bool) {
	t.Helper()
	ok, err := s.compareAndSwap(t.Context(), key, old, next)
	if err != nil {
		t.Errorf("compare and swap %q: %v", key, err)
	} else if ok != want {
		t.Errorf("compare and swap %q, version %d to %d: %v", key, old, next.Version, ok)
	}
}

func (s store) delete(t *testing.T, key string) {
	t.Helper()
	if err := s.Delete(t.Context(), key); err != nil {
		t.Errorf("delete %q: %v", key, err)
	}
}

func (s store) scan(t *testing.T) map[string]*session.Session {
	t.Helper()
	seen := map[string]*session.Session{}
	err := s.Scan(t.Context(), func(key string, v *session.Session) error {
		seen[strings.Clone(key)] = v
		return nil
	})
	if err != nil {
		t.Errorf("scan: %v", err)
	}
	return seen
}

func (s store) holds(t *testing.T, key string, want *session.Session) {
	t.Helper()
	if got := s.get(t, key); !sessiontest.Same(got, want) {
		t.Errorf("get %q:\n got  %+v\n want %+v", key, got, want)
	}
}

// sampleSession returns a session with something in every field.
func sampleSession(t *testing.T, version session.Version) *session.Session {
	t.Helper()
	v := &session.Session{Version: version, Seen: 1_700_000_000_123, Truncated: true, Timeout: 1_800_000, Cutoff: 86_400_000}
	at := func(i, base int64) session.Moment {
		return session.Moment{Time: base + i, Original: base - i, Lag: 7 * i, Clock: session.Clock(i % 3)}
	}
	for i := range int64(session.MaxSegments) {
		v.Segments = append(v.Segments, session.Segment{
			From: at(i, 1_700_000_000_000), Last: at(i+1, 1_700_000_100_000), ID: session.MaxID - i,
			Mark: math.MaxUint64 - session.MessageID(i), Cause: 1<<63 + session.MessageID(i),
			User: math.MaxUint64 - session.UserID(i), UserAt: at(i+2, 1_700_000_050_000),
			LastEnd: at(i, 1_700_000_060_000), LastEndBy: session.MessageID(i + 1),
			Restart: at(i, 1_700_000_070_000), RestartWithID: i%2 == 0,
			Mode: session.Manual + session.Mode(i)%4, Origin: session.ByEvent + session.Origin(i)%6,
		})
		if seg := &v.Segments[i]; seg.From.Clock == session.NoClock {
			seg.From = session.At(seg.From.Time)
		}
	}
	for i := range v.Segments {
		seg := &v.Segments[i]
		for _, m := range []*session.Moment{&seg.Last, &seg.UserAt, &seg.LastEnd, &seg.Restart} {
			if m.Clock == session.NoClock {
				*m = session.At(m.Time)
			}
		}
	}
	v.WithoutID, v.NoOps = at(1, 1_700_000_000_000), [session.MaxNoOps]session.MessageID{1, math.MaxUint64}
	v.Lags = [2]session.Lag{{Lag: -3_600_000, At: 1_700_000_000_000}, {Lag: 12, At: 1_700_000_000_001}}
	for i := range int64(session.MaxIntervals) {
		from := 1_700_000_000_000 + 1000*i
		v.Links = append(v.Links, session.Interval[string]{Value: fmt.Sprintf("a%0256d", i%session.MaxValues), From: from, Last: from + 999})
	}
	return v
}

func unknown(t *testing.T, s store) {
	s.holds(t, "nobody", nil)
	s.delete(t, "nobody")
	if seen := s.scan(t); len(seen) != 0 {
		t.Errorf("an empty store holds %v", seen)
	}
}

func roundTrip(t *testing.T, s store) {
	for i, v := range append(sessiontest.Samples(t),
		sampleSession(t, 1),
		sampleSession(t, math.MaxUint64),
		// Only the fields that a session must have.
		&session.Session{Version: 2, Segments: []session.Segment{{}}},
		// Before 1970.
		&session.Session{Version: 3, Seen: -1, Segments: []session.Segment{{From: session.At(math.MinInt64), Last: session.At(-1), UserAt: session.At(-62_135_596_800_000)}}},
		// A session with nothing in it is the same as no session.
		&session.Session{Version: 5, Seen: 7},
		&session.Session{Version: 4, Seen: math.MaxInt64, Segments: []session.Segment{{Mode: session.Automatic}, {Origin: session.ByIdentify}}},
	) {
		key := fmt.Sprint("key ", i)
		s.swap(t, key, 0, v, true)
		s.holds(t, key, v)
		if got := s.scan(t)[key]; !sessiontest.Same(got, v) {
			t.Errorf("scan:\n got  %+v\n want %+v", got, v)
		}
	}
}

func keys(t *testing.T, s store) {
	all := []string{
		"a", "A", "a ", "aa", "a\x00", "a\x00b", "\x00", "\x00\x00", "\xff", "\xff\xfe", "\xc3\x28", "\xc3", "ä", "a\u0308",
		"a/b", "a:b", "a*", "{a}", "a\nb", "a'b", `a"b`, `a\b`, "%61", "..", strings.Repeat("k", 1000),
	}
	for i, key := range all {
		// The key is a part of a buffer that is reused.
		buffer := []byte(key)
		s.swap(t, string(buffer), 0, sampleSession(t, session.Version(i+1)), true)
		clear(buffer)
	}
	for i, key := range all {
		s.holds(t, key, sampleSession(t, session.Version(i+1)))
	}
	if seen := slices.Sorted(maps.Keys(s.scan(t))); !slices.Equal(seen, slices.Sorted(slices.Values(all))) {
		t.Errorf("scan saw %q", seen)
	}
	s.delete(t, "a\x00")
	s.holds(t, "a\x00", nil)
	s.holds(t, "a", sampleSession(t, 1))
	s.holds(t, "a\x00b", sampleSession(t, 6))
}

func swap(t *testing.T, s store) {
	one, two := sampleSession(t, 10), sampleSession(t, 11)
	two.Segments = two.Segments[:1]
	s.swap(t, "key", 0, one, true)
	s.swap(t, "key", 10, two, true)
	s.holds(t, "key", two)
	// Versions grow by any step.
	three := sampleSession(t, 1<<60)
	s.swap(t, "key", 11, three, true)
	s.holds(t, "key", three)
}

func stale(t *testing.T, s store) {
	other := sampleSession(t, 20)
	s.swap(t, "key", 7, other, false)
	s.holds(t, "key", nil)
	one := sampleSession(t, 10)
	s.swap(t, "key", 0, one, true)
	for _, old := range []session.Version{0, 9, 11, 20, math.MaxUint64} {
		s.swap(t, "key", old, other, false)
		s.holds(t, "key", one)
	}
	if seen := s.scan(t); len(seen) != 1 {
		t.Errorf("the store holds %v", seen)
	}
}

// The changes of one call succeed or fail independently.
func swapMany(t *testing.T, s store) {
	s.CompareAndSwap(t.Context(), nil)
	s.swap(t, "there", 0, sampleSession(t, 10), true)
	s.swap(t, "changed", 0, sampleSession(t, 10), true)
	changes := []sessionstate.Swap{
		{Key: "there", Old: 10, Next: sampleSession(t, 11)},
		{Key: "changed", Old: 9, Next: sampleSession(t, 12)},
		{Key: "new", Next: sampleSession(t, 13)},
		{Key: "gone", Old: 8, Next: sampleSession(t, 14)},
	}
	s.CompareAndSwap(t.Context(), changes)
	for i, want := range []bool{true, false, true, false} {
		if c := changes[i]; c.Done != want || c.Err != nil {
			t.Errorf("%q: %v, %v", c.Key, c.Done, c.Err)
		}
	}
	s.holds(t, "there", sampleSession(t, 11))
	s.holds(t, "changed", sampleSession(t, 10))
	s.holds(t, "new", sampleSession(t, 13))
	s.holds(t, "gone", nil)

	many := make([]sessionstate.Swap, 300)
	for i := range many {
		many[i] = sessionstate.Swap{Key: fmt.Sprint("many ", i), Next: sampleSession(t, session.Version(i+1))}
	}
	s.CompareAndSwap(t.Context(), many)
	for i := range many {
		if !many[i].Done || many[i].Err != nil {
			t.Fatalf("%q: %v, %v", many[i].Key, many[i].Done, many[i].Err)
		}
		s.holds(t, many[i].Key, sampleSession(t, session.Version(i+1)))
	}
}

func deleted(t *testing.T, s store) {
	s.swap(t, "key", 0, sampleSession(t, 10), true)
	s.swap(t, "other", 0, sampleSession(t, 11), true)
	s.delete(t, "key")
	s.holds(t, "key", nil)
	s.swap(t, "key", 10, sampleSession(t, 12), false)
	s.holds(t, "key", nil)
	s.delete(t, "key")
	s.swap(t, "key", 0, sampleSession(t, 13), true)
	s.holds(t, "key", sampleSession(t, 13))
	s.holds(t, "other", sampleSession(t, 11))
}

func scan(t *testing.T, s store) {
	want := map[string]*session.Session{}
	var changes []sessionstate.Swap
	for i := range session.Version(500) {
		key := fmt.Sprint("key ", i)
		want[key] = sampleSession(t, i+1)
		changes = append(changes, sessionstate.Swap{Key: key, Next: want[key]})
	}
	s.CompareAndSwap(t.Context(), changes)
	if seen := s.scan(t); !maps.EqualFunc(seen, want, sessiontest.Same) {
		t.Errorf("scan saw %d sessions, or others, of %d", len(seen), len(want))
	}
	s.delete(t, "key 7")
	delete(want, "key 7")
	if seen := s.scan(t); !maps.EqualFunc(seen, want, sessiontest.Same) {
		t.Errorf("scan saw %d sessions, or others, of %d", len(seen), len(want))
	}
}

func scanStops(t *testing.T, s store) {
	for i := range session.Version(50) {
		s.swap(t, fmt.Sprint("key ", i), 0, sampleSession(t, i+1), true)
	}
	stop, calls := errors.New("stop"), 0
	err := s.Scan(t.Context(), func(string, *session.Session) error {
		if calls++; calls == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || calls != 3 {
		t.Errorf("scan returned %v after %d calls", err, calls)
	}
}

// A store may carry out a cancelled request or refuse it, but not do half of it.
func cancelled(t *testing.T, s store) {
	s.swap(t, "key", 0, sampleSession(t, 10), true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := s.Get(ctx, "key"); err == nil && !sessiontest.Same(v, sampleSession(t, 10)) {
		t.Errorf("get: %+v", v)
	}
	if err := s.Scan(ctx, func(string, *session.Session) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("scan: %v", err)
	}
	want := sampleSession(t, 10)
	if ok, err := s.compareAndSwap(ctx, "key", 10, sampleSession(t, 11)); err != nil && ok {
		t.Errorf("compare and swap: %v and %v", ok, err)
	} else if ok {
		want = sampleSession(t, 11)
	} else if err == nil {
		t.Error("compare and swap: told that another change came first")
	}
	s.holds(t, "key", want)
	if s.Delete(ctx, "key") == nil {
		want = nil
	}
	s.holds(t, "key", want)
}
