package sessionstate

import (
	"fmt"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestPrefetchChangesNothing, whatever is known of the keys, with one shard and
// with many: neither what is cached nor in which order it is evicted. Meanwhile
// others may change it.
func TestPrefetchChangesNothing(t *testing.T) {
	for _, capacity := range []int{10, shardedFrom} {
		store := NewCache(capacity)
		m := &ownedMode{cachedMode: &cachedMode{cache: store}}
		table := &Table{mode: m}
		keys := make([]string, 3*prefetched)
		for i := range keys {
			keys[i] = fmt.Sprint("key ", i)
		}
		table.Prefetch(nil)
		table.Prefetch(keys) // of nothing
		for i, key := range keys[:10] {
			store.Put(key, &session.Session{Version: session.Version(i + 1)})
		}
		r := &session.Request{Received: 100, Events: []session.Event{{Times: session.Timestamps{HasOriginal: true, HasSent: true}}}}
		var known session.Lags
		table.lags.observe(keys[0], r, &known, false)
		before := store.entriesForTest()

		changed := make(chan struct{})
		go func() {
			defer close(changed)
			for range 100 {
				table.lags.observe(keys[1], r, new(session.Lags), false)
				table.lags.observe(fmt.Sprint(r.Received), r, new(session.Lags), false)
			}
		}()
		for range 100 {
			table.Prefetch(keys)
		}
		<-changed
		hits, misses, _ := store.Stats()
		if after := store.entriesForTest(); fmt.Sprint(after) != fmt.Sprint(before) || hits+misses > 0 {
			t.Errorf("%d: %v, not %v; %d hits, %d misses", capacity, after, before, hits, misses)
		}
		table.lags.observe(keys[0], r, &known, true)
		if known.Of(session.DeviceClock).Newest().At != 100 {
			t.Errorf("%v", known)
		}
		if n := testing.AllocsPerRun(10, func() { table.Prefetch(keys) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// entriesForTest are the keys in the order in which they would be evicted, shard by
// shard.
func (c *Cache) entriesForTest() (keys []string) {
	for _, s := range *c.shards.Load() {
		for _, e := range s.entries() {
			keys = append(keys, e.key())
		}
	}
	return keys
}

// TestLagsOfTwoClocks: a key's clocks are remembered each by itself, and a look
// takes nobody's place.
func TestLagsOfTwoClocks(t *testing.T) {
	var table lagTable
	request := func(received, sent int64, server bool) *session.Request {
		return &session.Request{Received: received, Events: []session.Event{{
			Server: server, Times: session.Timestamps{Original: sent, Sent: sent, HasOriginal: true, HasSent: true},
		}}}
	}
	var known session.Lags
	table.observe("key", request(1000, 900, false), &known, false)
	table.observe("key", request(2000, 1500, true), &known, false)
	if known.Of(session.DeviceClock).Newest() != (session.Lag{Lag: 100, At: 1000}) || known.Of(session.ServerClock).Newest().At != 0 {
		t.Errorf("before the second: %v", known)
	}
	for i := range 50_000 {
		table.observe(fmt.Sprint("other ", i), request(3000, 3000, false), new(session.Lags), true)
	}
	table.observe("key", request(4000, 4000, false), &known, true)
	if known.Of(session.DeviceClock).Newest() != (session.Lag{Lag: 100, At: 1000}) || known.Of(session.ServerClock).Newest() != (session.Lag{Lag: 500, At: 2000}) {
		t.Errorf("after looks at others: %v", known)
	}
	// Many others push it out.
	for i := range 500_000 {
		table.observe(fmt.Sprint("other ", i), request(3000, 3000, false), new(session.Lags), false)
	}
	table.observe("key", request(4000, 4000, false), &known, true)
	if known.Of(session.DeviceClock).Newest().At != 0 || known.Of(session.ServerClock).Newest().At != 0 {
		t.Errorf("after many others: %v", known)
	}
}
