package filestore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// count counts the sessions in the file.
func count(t testing.TB, s *filestore.Store) (n int) {
	t.Helper()
	err := s.Scan(context.Background(), func(string, *session.Session) error {
		n++
		return nil
	})
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return n
}

// oldestWent checks that session 0, which is in use, and the newest are there, and session
// 1, the oldest of the others, is not.
func oldestWent(t *testing.T, s *filestore.Store, newest int) {
	t.Helper()
	found := all(t, s)
	if found[key(0)] == nil {
		t.Error("the session in use is gone")
	}
	if found[key(1)] != nil || found[key(newest)] == nil {
		t.Error("it is not the oldest that went")
	}
}

// During a flood, the file never exceeds the bound by more than a sixteenth of it, or a
// thousand sessions. Those not seen for longest are removed; those in use stay, however
// old.
func TestFileIsBounded(t *testing.T) {
	const bound, slack, flood = 1500, 1000, 5000
	s := mustOpen(t, newPath(t))
	s.Spare(func(k string) bool { return k == key(0) })
	s.Bound(bound)
	for n := 0; n < flood; n += 10 {
		var changes []Swap
		for i := range 10 {
			changes = append(changes, Swap{Key: key(n + i), Next: sessionOf(n+i, 1)})
		}
		for {
			s.CompareAndSwap(context.Background(), changes)
			changes = slices.DeleteFunc(changes, func(c Swap) bool { return c.Done })
			if len(changes) == 0 {
				break
			}
			for _, c := range changes {
				if !errors.Is(c.Err, ErrFull) {
					t.Fatalf("%d: %+v", n, c)
				}
			}
			await(t, "room is made", func() bool { return !s.Full() })
		}
		if n%100 == 0 {
			if found := count(t, s); found > bound+slack {
				t.Fatalf("%d sessions", found)
			}
		}
	}
	await(t, "there are no more than may be", func() bool { return count(t, s) <= bound })
	oldestWent(t, s, flood-1)
}

// TestRoomIsMadeDuringAFlood: sessions that come while others are forgotten, however many,
// do not cost those in use their place.
func TestRoomIsMadeDuringAFlood(t *testing.T) {
	const bound, already, flood, atOnce = 1500, 1600, 3000, 200
	s := mustOpen(t, newPath(t))
	var next atomic.Int64
	next.Store(already)
	s.Spare(func(k string) bool {
		if from := int(next.Load()); k == key(0) && from < flood {
			// The file is being read: this is written before the next session is forgotten.
			changes := make([]Swap, atOnce)
			for i := range changes {
				changes[i] = Swap{Key: key(from + i), Next: sessionOf(from+i, 1)}
			}
			filestore.Enqueue(s, changes)
			next.Add(atOnce)
		}
		return k == key(0)
	})
	fill(t, s, 0, already, 0, 1)
	s.Bound(bound)
	fill(t, s, 5, 6, 1, 2)
	await(t, "there are no more than may be", func() bool { return next.Load() >= flood && count(t, s) <= bound })
	oldestWent(t, s, flood-1)
}

// TestNoRoomAmongUnreadable: if all that could be forgotten is damaged, that is said, and
// tried again later.
func TestNoRoomAmongUnreadable(t *testing.T) {
	const bound = 10
	said := make(chan error, 1)
	s, err := filestore.Open(newPath(t), filestore.Log{Sweep: func(err error) {
		select {
		case said <- err:
		default:
		}
	}})
	must(t, err)
	defer closeOnce(t, s)
	s.Bound(bound)
	for n := range 2 * bound {
		must(t, filestore.Put(s, key(n), []byte("damaged")))
	}
	if err := <-said; !strings.Contains(err.Error(), "max_sessions") {
		t.Error(err)
	}
}

// A full file accepts changes and ends of the sessions in it, and refuses new ones with
// an error.
func TestFullFileTakesWhatItKnows(t *testing.T) {
	s := mustOpen(t, newPath(t))
	fill(t, s, 0, 1010, 0, 1)
	release := filestore.HoldWriter(s) // so that no room is made in the meantime
	s.Bound(10)
	if !s.Full() {
		t.Fatal("it is not full")
	}
	changes := []Swap{
		{Key: key(5000), Next: sessionOf(5000, 1)},
		{Key: key(5), Old: 1, Next: sessionOf(5, 2)},
	}
	done := make(chan struct{})
	go func() { s.CompareAndSwap(context.Background(), changes); close(done) }()
	release()
	<-done
	// If room was made before, both are accepted.
	if changes[0].Err != nil && !errors.Is(changes[0].Err, ErrFull) || changes[1].Err != nil {
		t.Errorf("%+v", changes)
	}
	await(t, "room is made", func() bool { return count(t, s) <= 10 })
}

// Without a bound nothing is removed, and after a bound is lifted all are accepted. The
// sessions that are in a file when it is opened count.
func TestBoundOfAFileThatIsOpened(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	fill(t, s, 0, 3000, 0, 1)
	closeOnce(t, s)
	s = mustOpen(t, path)
	holds(t, s, filled(0, 3000, 1))
	s.Bound(1600)
	// Nothing is removed before something is added.
	holds(t, s, filled(0, 3000, 1))
	if err := swap(s, key(2999), 1, sessionOf(2999, 2)); err != nil {
		t.Fatal(err)
	}
	await(t, "room is made", func() bool { return count(t, s) <= 1600 })
	left := all(t, s)
	if len(left) < 1400 || left[key(2999)] == nil {
		t.Errorf("%d are left", len(left))
	}
	s.Bound(0)
	fill(t, s, 10_000, 14_000, 0, 1)
	if slices.Contains([]bool{s.Full(), count(t, s) < 5400}, true) {
		t.Errorf("%d are left", count(t, s))
	}
}
