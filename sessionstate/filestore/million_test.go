package filestore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

var proxyPolicy = &session.Policy{Automatic: session.AutomaticProxy, Timeout: 30 * 60_000, Retention: 400 * day}

func newTable(store Store, capacity int) *Table {
	return NewTable(store, Options{Settings: Settings{Capacity: capacity, Retention: 400 * day, FlushInterval: time.Millisecond}})
}

// heap returns the heap in use after garbage collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// automatic begins a session for each user in random order, and waits when the store
// does not keep up.
func automatic(t testing.TB, table *Table, store *filestore.Store, users int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	for _, n := range random.Perm(users) {
		for {
			d, err := event(table, n, 1)
			if err == nil {
				if d.SessionID == 0 || !d.Start {
					t.Fatalf("%+v", d)
				}
				break
			}
			// The queue is full: wait until it is written.
			if err := filestore.InWriter(store, func() {}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func event(table *Table, n int, message session.MessageID) (session.Decision, error) {
	var d [1]session.Decision
	events := []session.Event{{Times: original(base + int64(n%60_000)), Message: session.MessageID(n)<<8 | message, User: session.UserID(n)}}
	err := table.Apply(context.Background(), key(n), request(base+100_000, proxyPolicy, events), d[:])
	return d[0], err
}

// TestManySessions has far more sessions than the capacity: each is found again, and
// memory stays within the capacity.
func TestManySessions(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some time")
	}
	users, capacity := 1_000_000, 10_000
	if raceDetector {
		users, capacity = 12_000, 3_000
	}
	path := newPath(t)
	before := heap()
	store := mustOpen(t, path)
	table := newTable(store, capacity)
	begun := time.Now()
	automatic(t, table, store, users)
	closedStores.Store(store, true)
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	written := time.Since(begun)
	onDisk := size(t, path)

	begun = time.Now()
	store = mustOpen(t, path)
	opened := time.Since(begun)
	table = newTable(store, capacity)
	begun = time.Now()
	var group sync.WaitGroup
	for part := range 4 {
		group.Go(func() {
			for n := part; n < users; n += 4 {
				d, err := event(table, n, 2)
				if err != nil || d.Start || d.SessionID == 0 || d.Action != session.Stamp {
					t.Errorf("user %d: %+v, %v", n, d, err)
					return
				}
				if n%10 > 3 {
					continue
				}
				// The event that began the session is known.
				if want, err := event(table, n, 1); err != nil || !want.Start || want.SessionID != d.SessionID {
					t.Errorf("user %d: %+v, then %+v, %v", n, d, want, err)
					return
				}
			}
		})
	}
	group.Wait()
	found := time.Since(begun)
	if n := table.Len(); n > capacity {
		t.Errorf("%d sessions are in memory", n)
	}
	// Ten thousand sessions take some megabytes; the bound leaves room for the rest.
	if grown := heap() - before; grown > 48<<20 {
		t.Errorf("%d bytes of memory more", grown)
	} else {
		t.Logf("%d sessions: %d bytes each in a file of %d; %d bytes of memory; begun in %v, opened in %v, found in %v",
			users, onDisk/int64(users), onDisk, grown, written, opened, found)
	}
	runtime.KeepAlive(table)
}

// TestMemoryOfASession logs how much memory a cached session takes.
func TestMemoryOfASession(t *testing.T) {
	const users = 10_000
	store := mustOpen(t, newPath(t))
	fill(t, store, 0, users, 0, 1)
	table := newTable(store, users+users/4)
	before := heap()
	for n := range users {
		if _, err := table.Current(t.Context(), key(n), base+100_000, proxyPolicy); err != nil {
			t.Fatal(err)
		}
	}
	each := (heap() - before) / int64(table.Len())
	if each > 1000 || table.Len() < users*9/10 {
		t.Errorf("%d bytes each, %d sessions", each, table.Len())
	}
	t.Logf("%d bytes of memory for each session", each)
	runtime.KeepAlive(table)
}

// BenchmarkOpen opens files, and reports their size and the time for a million
// sessions.
func BenchmarkOpen(b *testing.B) {
	for _, users := range []int{10_000, 200_000} {
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			path := newPath(b)
			s := mustOpen(b, path)
			random := rand.New(rand.NewPCG(1, 1)).Perm(users)
			changes := make([]Swap, users)
			for i, n := range random {
				changes[i] = Swap{Key: key(n), Next: sessionOf(n, 1)}
			}
			for len(changes) > 0 {
				n := min(len(changes), 1000)
				s.CompareAndSwap(b.Context(), changes[:n])
				changes = changes[n:]
			}
			closeOnce(b, s)
			b.ResetTimer()
			for b.Loop() {
				s, err := filestore.Open(path, quiet(b))
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
			b.ReportMetric(float64(size(b, path))/float64(users), "bytes/session")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(users)*1e6, "s/million")
		})
	}
}
