package sessionstate_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	lru "github.com/hashicorp/golang-lru/v2"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

const million = 1_000_000

func benchKeys() []string {
	keys := make([]string, million)
	for i := range keys {
		// As long as a write key and an anonymousId.
		keys[i] = fmt.Sprintf("2Abcdefghijklmnopqrstuvwxyz\x00%08x-1111-4222-8333-444455556666", i*2654435761)
	}
	return keys
}

// spread looks up a million keys on all processors at once, in an order in which
// successive keys are far apart. begin returns the look-up for one goroutine.
func spread(b *testing.B, keys []string, begin func() func(key string)) {
	var goroutines atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		look := begin()
		for i := int(goroutines.Add(1)) * 7919; pb.Next(); i += 611_953 {
			look(keys[i%million])
		}
	})
}

// Known sessions, compared with a plain LRU with as many entries: the table does a
// look-up and a transition each time.
func BenchmarkKnown(b *testing.B) {
	keys := benchKeys()
	b.Run("impl=golang-lru", func(b *testing.B) {
		cache, err := lru.New[string, *session.Session](million)
		if err != nil {
			b.Fatal(err)
		}
		for _, key := range keys {
			cache.Add(key, manual(b, &policy))
		}
		spread(b, keys, func() func(string) {
			return func(key string) {
				if s, ok := cache.Get(key); !ok || s == nil {
					b.Error("not there")
				}
			}
		})
	})
	for _, c := range []struct {
		name  string
		store Store
	}{{"table", memorystore.New()}, {"table-over-remote", newShared()}} {
		b.Run("impl="+c.name, func(b *testing.B) {
			// Some spare capacity: the shards do not fill evenly.
			table := newTable(b, c.store, million*5/4, 0)
			for _, key := range keys {
				ask(b, table, key, startAt(base, 1))
				ask(b, table, key, trackAt(base, 2))
			}
			spread(b, keys, func() func(string) {
				events, decisions := []session.Event{trackAt(base+1, 3)}, make([]session.Decision, 1)
				return func(key string) {
					err := table.Apply(context.Background(), key, request(base+1000, &policy, events), decisions)
					if err != nil || decisions[0].Action != session.Stamp {
						b.Error(err, decisions[0])
					}
				}
			})
		})
	}
}

// Look-ups in tables of different sizes, compared with a plain LRU of the same size.
// What grows with the size of both is the time of accesses that miss the processor's
// caches.
func BenchmarkSessions(b *testing.B) {
	keys := benchKeys()
	for _, n := range []int{10_000, 100_000, million} {
		cache, err := lru.New[string, *session.Session](n)
		if err != nil {
			b.Fatal(err)
		}
		table := newTable(b, memorystore.New(), n*5/4, 0)
		for _, key := range keys[:n] {
			cache.Add(key, manual(b, &policy))
			ask(b, table, key, startAt(base, 1))
			ask(b, table, key, trackAt(base, 2))
		}
		b.Run(fmt.Sprintf("impl=golang-lru/sessions=%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i += 611_953 {
				if _, ok := cache.Get(keys[i%n]); !ok {
					b.Fatal("not there")
				}
			}
		})
		b.Run(fmt.Sprintf("impl=table/sessions=%d", n), func(b *testing.B) {
			events, decisions, scratch := []session.Event{trackAt(base+1, 3)}, make([]session.Decision, 1), Scratch{}
			for i := 0; b.Loop(); i += 611_953 {
				if !table.ApplyNow(&scratch, keys[i%n], request(base+1000, &policy, events), decisions) {
					b.Fatal("not known")
				}
			}
		})
	}
}

// New sessions: each is written and, as there is room for half of the keys, soon evicts
// another one.
func BenchmarkNew(b *testing.B) {
	p := policy
	p.Automatic = session.AutomaticProxy
	keys := benchKeys()
	b.Run("impl=golang-lru", func(b *testing.B) {
		cache, err := lru.New[string, *session.Session](million / 2)
		if err != nil {
			b.Fatal(err)
		}
		spread(b, keys, func() func(string) {
			return func(key string) {
				cache.Add(key, &session.Session{Version: 1, Segments: make([]session.Segment, 1)})
			}
		})
	})
	b.Run("impl=table", func(b *testing.B) {
		table := newTable(b, memorystore.New(), million/2, 0)
		spread(b, keys, func() func(string) {
			events, decisions := []session.Event{trackAt(base, 1)}, make([]session.Decision, 1)
			return func(key string) {
				if err := table.Apply(context.Background(), key, request(base, &p, events), decisions); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
