package sessionstate_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
)

func TestStartsAreCountedByMinute(t *testing.T) {
	table := newTable(t, memorystore.New(), 10, 0)
	take := func(key string, now int64, n, want int) {
		t.Helper()
		if got := table.TakeStarts(key, now, n, 5); got != want {
			t.Errorf("%s at %d: %d of %d, want %d", key, now-base, got, n, want)
		}
	}
	take("a", base, 3, 3)
	take("a", base+59_999, 3, 2)
	take("a", base+59_999, 1, 0)
	take("b", base+59_999, 1, 1)
	table.GiveStarts("a", base+59_999, 1)
	take("a", base+59_999, 2, 1)
	take("a", base+60_000, 9, 5)
	// A clock that is set back a little, and by a lot.
	take("a", base+59_000, 1, 0)
	take("a", base-60_000, 1, 1)
	// What is given back in another minute has no effect.
	table.GiveStarts("c", base, 7)
	take("c", base, 9, 5)
}

// Concurrent calls do not exceed the limit together, and a flood of other keys does not
// reset the count of a key that has begun many.
func TestStartsAtOnceAndInAFlood(t *testing.T) {
	table := newTable(t, memorystore.New(), 10, 0)
	var taken atomic.Int64
	sessiontest.Together(8, func(int) {
		for range 100 {
			taken.Add(int64(table.TakeStarts("loop", base, 1, 100)))
		}
	})
	if taken.Load() != 100 {
		t.Errorf("%d taken", taken.Load())
	}
	before := heap()
	for i := range 200_000 {
		table.TakeStarts(fmt.Sprint("flood ", i), base, 1, 100)
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the flood takes %d bytes", grown)
	}
	if n := table.TakeStarts("loop", base, 1, 100); n != 0 {
		t.Error("the flood has pushed out a loop's count")
	}
}
