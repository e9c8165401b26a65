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

// Known sessions, looked up by all processors at once, next to a bare LRU with
// as many entries: the table does a look-up and a transition in each turn.
func BenchmarkKnown(b *testing.B) {
	keys := benchKeys()
	// each calls f with keys that are far from each other, in an order of its
	// own for each goroutine.
	var goroutine atomic.Int64
	each := func(b *testing.B, f func(key string)) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := int(goroutine.Add(1)) * 7919; pb.Next(); i += 611_953 {
				f(keys[i%million])
			}
		})
	}
	b.Run("golang-lru", func(b *testing.B) {
		cache, err := lru.New[string, *Session](million)
		if err != nil {
			b.Fatal(err)
		}
		for _, key := range keys {
			cache.Add(key, manual(b, &policy))
		}
		b.ResetTimer()
		each(b, func(key string) {
			if s, ok := cache.Get(key); !ok || s == nil {
				b.Error("not there")
			}
		})
	})
	for _, c := range []struct {
		name  string
		store Store
	}{{"memory", memorystore.New()}, {"remote", newRemote()}} {
		b.Run("table/"+c.name, func(b *testing.B) {
			// Room to spare: shards are not filled evenly.
			table := NewTable(c.store, million*5/4, 0)
			for _, key := range keys {
				ask(b, table, key, startAt(base, 1))
				ask(b, table, key, trackAt(base, 2))
			}
			b.ResetTimer()
			ctx := context.Background()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				events, decisions := []Event{trackAt(base+1, 3)}, make([]Decision, 1)
				for i := int(goroutine.Add(1)) * 7919; pb.Next(); i += 611_953 {
					if err := table.Apply(ctx, keys[i%million], base+1000, &policy, events, decisions); err != nil || decisions[0].Action != Stamp {
						b.Error(err, decisions[0])
					}
				}
			})
		})
	}
}

// New sessions: the store is written, and from a million on each evicts
// another.
func BenchmarkNew(b *testing.B) {
	p := policy
	p.Automatic = AutomaticProxy
	keys := benchKeys()
	b.Run("golang-lru", func(b *testing.B) {
		cache, err := lru.New[string, *Session](million / 2)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		var n atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				cache.Add(keys[n.Add(1)%million], &Session{Version: 1, Segments: make([]Segment, 1)})
			}
		})
	})
	b.Run("table/memory", func(b *testing.B) {
		table := NewTable(memorystore.New(), million/2, 0)
		ctx := context.Background()
		b.ReportAllocs()
		var n atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			events, decisions := []Event{trackAt(base, 1)}, make([]Decision, 1)
			for pb.Next() {
				if err := table.Apply(ctx, keys[n.Add(1)%million], base, &p, events, decisions); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
