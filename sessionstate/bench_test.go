package sessionstate_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	lru "github.com/hashicorp/golang-lru/v2"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
)

// manual is a session with a history: three calls, one change of user, the mark
// given.
func manual(b *testing.B, p *Policy) *Session {
	b.Helper()
	events := []Event{
		{Kind: Start, Time: base, Message: 1}, {Kind: End, Time: base + 10, Message: 2},
		{Kind: Start, Time: base + 20, Message: 3}, {Time: base + 20, Message: 4, User: 1},
		{Kind: Identify, Time: base + 30, Message: 5, User: 2},
	}
	s, _ := Transition(nil, base+30, p, events, make([]Decision, len(events)))
	return s
}

// What the hot path costs by itself: messages of a known session that change
// nothing.
func BenchmarkTransition(b *testing.B) {
	s := manual(b, &policy)
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprintf("unchanged/messages=%d", n), func(b *testing.B) {
			events := make([]Event, n)
			for i := range events {
				events[i] = Event{Time: base + 100 + int64(i), Message: MessageID(100 + i), User: 2}
			}
			decisions := make([]Decision, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, change := Transition(s, base+1000, &policy, events, decisions); change != Unchanged {
					b.Fatal("changed")
				}
			}
		})
	}
	b.Run("new", func(b *testing.B) {
		p := policy
		p.Automatic = AutomaticProxy
		events, decisions := []Event{{Time: base, Message: 1}}, make([]Decision, 1)
		b.ReportAllocs()
		for b.Loop() {
			if _, change := Transition(nil, base, &p, events, decisions); change != Changed {
				b.Fatal("not changed")
			}
		}
	})
}

const million = 1_000_000

func benchKeys() []string {
	keys := make([]string, million)
	for i := range keys {
		// As long as a write key and an anonymousId are.
		keys[i] = fmt.Sprintf("2Abcdefghijklmnopqrstuvwxyz\x00%08x-1111-4222-8333-444455556666", i*2654435761)
	}
	return keys
}

// spread runs look-ups of a million keys on all processors at once, neighbours
// in time far from each other. begin makes the look-up of one goroutine.
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

// Known sessions, next to a bare LRU with as many entries: the table does a
// look-up and a transition each time.
func BenchmarkKnown(b *testing.B) {
	keys := benchKeys()
	b.Run("impl=golang-lru", func(b *testing.B) {
		cache, err := lru.New[string, *Session](million)
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
			// Room to spare: shards are not filled evenly.
			table := newTable(b, c.store, million*5/4, 0)
			for _, key := range keys {
				ask(b, table, key, startAt(base, 1))
				ask(b, table, key, trackAt(base, 2))
			}
			spread(b, keys, func() func(string) {
				events, decisions := []Event{trackAt(base+1, 3)}, make([]Decision, 1)
				return func(key string) {
					err := table.Apply(context.Background(), key, base+1000, &policy, events, decisions)
					if err != nil || decisions[0].Action != Stamp {
						b.Error(err, decisions[0])
					}
				}
			})
		})
	}
}

// Look-ups in tables of different sizes, next to a bare LRU as large: what grows
// with both is the time that memory takes which is in no cache.
func BenchmarkSessions(b *testing.B) {
	keys := benchKeys()
	for _, n := range []int{10_000, 100_000, million} {
		cache, err := lru.New[string, *Session](n)
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
			events, decisions, scratch := []Event{trackAt(base+1, 3)}, make([]Decision, 1), Scratch{}
			for i := 0; b.Loop(); i += 611_953 {
				if !table.ApplyNow(&scratch, keys[i%n], base+1000, &policy, events, decisions) {
					b.Fatal("not known")
				}
			}
		})
	}
}

// New sessions: each is written and, with half of the keys kept, soon evicts
// another.
func BenchmarkNew(b *testing.B) {
	p := policy
	p.Automatic = AutomaticProxy
	keys := benchKeys()
	b.Run("impl=golang-lru", func(b *testing.B) {
		cache, err := lru.New[string, *Session](million / 2)
		if err != nil {
			b.Fatal(err)
		}
		spread(b, keys, func() func(string) {
			return func(key string) {
				cache.Add(key, &Session{Version: 1, Segments: make([]Segment, 1)})
			}
		})
	})
	b.Run("impl=table", func(b *testing.B) {
		table := newTable(b, memorystore.New(), million/2, 0)
		spread(b, keys, func() func(string) {
			events, decisions := []Event{trackAt(base, 1)}, make([]Decision, 1)
			return func(key string) {
				if err := table.Apply(context.Background(), key, base, &p, events, decisions); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
