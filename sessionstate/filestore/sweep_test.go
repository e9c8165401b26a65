package filestore_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

const day = 24 * 3600_000

// seenAt is a session that was last seen at a time.
func seenAt(n int, seen int64) *session.Session {
	s := sessionOf(n, 1)
	s.Seen = seen
	return s
}

// swept writes sessions that were last seen at different times, and returns them.
func swept(t *testing.T, s *filestore.Store, n int, seen func(int) int64) map[string]*session.Session {
	t.Helper()
	sessions := map[string]*session.Session{}
	for from := 0; from < n; from += 1000 {
		var changes []Swap
		for i := from; i < min(n, from+1000); i++ {
			next := seenAt(i, seen(i))
			sessions[key(i)] = next
			changes = append(changes, Swap{Key: key(i), Next: next})
		}
		s.CompareAndSwap(t.Context(), changes)
		for _, c := range changes {
			if !c.Done || c.Err != nil {
				t.Fatalf("%v, %v", c.Done, c.Err)
			}
		}
	}
	return sessions
}

// TestSweepForgetsWhatIsExpired: a sweep forgets what has expired by the policy, and
// nothing else.
func TestSweepForgetsWhatIsExpired(t *testing.T) {
	for name, retention := range map[string]int64{"a second": 1000, "an hour": 3600_000, "a month": 30 * day, "a year": 400 * day} {
		t.Run(name, func(t *testing.T) {
			policy := &session.Policy{Retention: retention}
			grain := min(day, retention/16)
			s := mustOpen(t, newPath(t))
			// Some within milliseconds of the limit, others long before and after.
			n := 3*filestore.Chunk + 7
			sessions := swept(t, s, n, func(i int) int64 {
				switch i % 4 {
				case 0:
					return base - retention - grain + int64(i%11) - 5
				case 1:
					return base
				case 2:
					return base + day // the clock was wrong
				default:
					return base - 2*retention - 2*day - int64(i)
				}
			})
			want := maps.Clone(sessions)
			maps.DeleteFunc(want, func(_ string, v *session.Session) bool { return policy.Expired(v, base) })
			if gone, err := s.Sweep(t.Context(), base); gone != 0 || err != nil {
				t.Errorf("without a retention %d were forgotten, %v", gone, err)
			}
			s.Retain(retention)
			gone, err := s.Sweep(t.Context(), base)
			if err != nil || gone != n-len(want) || gone == 0 {
				t.Errorf("%d were forgotten, %v; want %d", gone, err, n-len(want))
			}
			holds(t, s, want)
			if gone, err := s.Sweep(t.Context(), base); gone != 0 || err != nil {
				t.Errorf("again %d were forgotten, %v", gone, err)
			}
			// A longer retention brings nothing back; without one nothing is forgotten.
			s.Retain(0)
			if gone, err := s.Sweep(t.Context(), base+1000*day); gone != 0 || err != nil {
				t.Errorf("without a retention %d were forgotten, %v", gone, err)
			}
			holds(t, s, want)
		})
	}
}

// TestSweepSparesWhatChanged: a session that is seen again after the sweep has read it
// is not forgotten.
func TestSweepSparesWhatChanged(t *testing.T) {
	s := mustOpen(t, newPath(t))
	want := swept(t, s, 100, func(int) int64 { return base - 500*day })
	s.Retain(400 * day)
	release := filestore.HoldWriter(s)
	var group sync.WaitGroup
	// These are in the queue before the sweep's deletions.
	group.Go(func() {
		again := sessionOf(7, 2)
		if err := swap(s, key(7), 1, again); err != nil {
			t.Error(err)
		}
	})
	await(t, "the change waits", func() bool { return filestore.Waiting(s) == 1 })
	group.Go(func() {
		if err := s.Delete(t.Context(), key(8)); err != nil {
			t.Error(err)
		}
	})
	await(t, "the deletion waits", func() bool { return filestore.Waiting(s) == 2 })
	var gone int
	group.Go(func() {
		var err error
		if gone, err = s.Sweep(t.Context(), base); err != nil {
			t.Error(err)
		}
	})
	await(t, "the sweep waits", func() bool { return filestore.Waiting(s) == 3 })
	release()
	group.Wait()
	if gone != len(want)-2 {
		t.Errorf("%d were forgotten", gone)
	}
	holds(t, s, map[string]*session.Session{key(7): sessionOf(7, 2)})
}

// TestSweepAmongWrites: sessions that are changed during the sweep are not forgotten.
func TestSweepAmongWrites(t *testing.T) {
	const old, writers = 10_000, 8
	s := mustOpen(t, newPath(t))
	swept(t, s, old, func(int) int64 { return base - 500*day })
	s.Retain(400 * day)
	var stop atomic.Bool
	var changed sync.Map
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := 0; n < 200 && !stop.Load(); n++ {
				// Old sessions are seen again, and new ones begin.
				for _, number := range []int{(n*writers + w) * 5, old + n*writers + w} {
					current, err := s.Get(context.Background(), key(number))
					if err != nil {
						t.Error(err)
						return
					}
					version := session.Version(0)
					if current != nil {
						version = current.Version
					}
					// The sweep may have been first: then the session begins anew.
					if swap(s, key(number), version, sessionOf(number, version+1)) != nil {
						version = 0
						if err := swap(s, key(number), 0, sessionOf(number, 1)); err != nil {
							t.Error(err)
							return
						}
					}
					changed.Store(number, version+1)
				}
			}
		})
	}
	gone, err := s.Sweep(t.Context(), base)
	stop.Store(true)
	group.Wait()
	if err != nil || gone == 0 {
		t.Errorf("%d were forgotten, %v", gone, err)
	}
	want := map[string]*session.Session{}
	changed.Range(func(number, version any) bool {
		want[key(number.(int))] = sessionOf(number.(int), version.(session.Version))
		return true
	})
	// After another sweep, exactly the changed sessions are there.
	if _, err := s.Sweep(t.Context(), base); err != nil {
		t.Error(err)
	}
	holds(t, s, want)
	t.Logf("%d forgotten, %d changed meanwhile", gone, len(want))
}

// TestSweepStops: a sweep stops when its context ends.
func TestSweepStops(t *testing.T) {
	s := mustOpen(t, newPath(t))
	n := 5 * filestore.Chunk
	want := swept(t, s, n, func(int) int64 { return base - 500*day })
	s.Retain(400 * day)
	ctx, cancel := context.WithCancel(t.Context())
	release := filestore.HoldWriter(s)
	var group sync.WaitGroup
	group.Go(func() {
		if gone, err := s.Sweep(ctx, base); gone != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d were forgotten, %v", gone, err)
		}
	})
	await(t, "the sweep waits", func() bool { return filestore.Waiting(s) == 1 })
	cancel()
	group.Wait()
	release()
	holds(t, s, want)
	// With a context that has ended already, it forgets one chunk at most.
	gone, err := s.Sweep(ctx, base)
	if gone > filestore.Chunk || !errors.Is(err, context.Canceled) {
		t.Errorf("%d were forgotten, %v", gone, err)
	}
	if found := all(t, s); n-len(found) > filestore.Chunk {
		t.Errorf("%d are left of %d", len(found), n)
	}
}

// TestRetainWakesTheSweeper: a sweeper without a retention would sleep for an hour.
func TestRetainWakesTheSweeper(t *testing.T) {
	s := mustOpen(t, newPath(t))
	now := time.Now().UnixMilli()
	sessions := swept(t, s, 2*filestore.Chunk, func(i int) int64 {
		if i%2 == 0 {
			return now - 30*day
		}
		return now + day
	})
	s.Retain(10 * 1000)
	s.Retain(20 * 1000)
	maps.DeleteFunc(sessions, func(_ string, v *session.Session) bool { return v.Seen < now })
	await(t, "old sessions are forgotten", func() bool { return len(all(t, s)) == len(sessions) })
	holds(t, s, sessions)
}

// TestCloseEndsASweep: Close stops a running sweep.
func TestCloseEndsASweep(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	n := 10 * filestore.Chunk
	swept(t, s, n, func(int) int64 { return base - 5000*day })
	s.Retain(1)
	await(t, "the sweep has begun", func() bool { return len(all(t, s)) < n })
	closeOnce(t, s)
	left := all(t, mustOpen(t, path))
	t.Logf("%d of %d are left", len(left), n)
}
