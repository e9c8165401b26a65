package redisstore_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// aheadBy is the clock of a machine that is ahead.
func aheadBy(d time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(d) }
}

// Two processes on machines whose clocks differ order messages by the server's clock.
func TestClocksOfTwo(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := redisstore.Options{URLs: []string{server.URL()}, Prefix: freshPrefix()}
	for name, offset := range map[string]time.Duration{
		"seconds ahead": 2 * time.Second, "hours ahead": 6 * time.Hour, "behind": -3 * time.Second, "the same": 0,
	} {
		t.Run(name, func(t *testing.T) {
			wrong, right := o, o
			wrong.Now = aheadBy(offset)
			a, b := open(t, wrong), open(t, right)
			tables := []*Table{tableOver(t, a), tableOver(t, b)}
			ahead, within, known := a.Ahead()
			if !known || (ahead-offset).Abs() > within+time.Millisecond {
				t.Errorf("ahead by %v, to within %v, not %v", ahead, within, offset)
			}
			// A call at one holds at the other, and so does a later call there.
			at := func(table *Table, clock func() time.Time, kind session.Kind) session.Decision {
				now, _ := table.Arrival(clock())
				var d [1]session.Decision
				e := []session.Event{{Kind: kind, Message: session.MessageID(ticks.Add(1))}}
				if err := table.Apply(t.Context(), name, &session.Request{Received: now, Policy: &policy, Events: e}, d[:]); err != nil {
					t.Fatal(err)
				}
				return d[0]
			}
			// Times that differ by less than the error of the measurement have no order.
			pause := func() { time.Sleep(2*within + 5*time.Millisecond) }
			id := at(tables[0], wrong.Now, session.Start).SessionID
			pause()
			redistest.Await(t, "the other has it", func() bool { return at(tables[1], time.Now, session.Other).SessionID == id })
			if now := time.Now().UnixMilli(); id > now {
				t.Errorf("the session is from %d ms later", id-now)
			}
			pause()
			at(tables[1], time.Now, session.End)
			pause()
			redistest.Await(t, "it has ended for both", func() bool {
				return at(tables[0], wrong.Now, session.Other).Action == session.Clear && at(tables[1], time.Now, session.Other).Action == session.Clear
			})
		})
	}
}

// When the server's clock is set, or another server takes its place, the new time is
// used; a large difference between the clocks is reported.
func TestServerClockIsFollowed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	var far, told atomic.Int64
	log := redisstore.Log{Clock: func(_ time.Duration, is bool) {
		told.Add(1)
		if is {
			far.Store(1)
		} else {
			far.Store(0)
		}
	}}
	store := open(t, redisstore.Options{URLs: []string{proxy.URL()}, Log: log})
	tableOver(t, store) // it watches
	for _, shift := range []time.Duration{time.Hour, -time.Hour, 0} {
		proxy.ShiftTime(shift)
		proxy.Cut() // the clock is measured again
		redistest.Await(t, "the server's clock is followed", func() bool {
			ahead, _, known := store.Ahead()
			store.Get(t.Context(), "key") // a connection
			return known && (ahead+shift).Abs() < time.Minute
		})
		now := time.Now()
		if d := store.At(now).Sub(now) - shift; d.Abs() > time.Minute {
			t.Errorf("shifted by %v: wrong by %v", shift, d)
		}
		if shift == 0 && !store.At(now).Equal(now) {
			t.Errorf("no difference is corrected by %v", store.At(now).Sub(now))
		}
		redistest.Await(t, "it is told", func() bool { return (far.Load() == 1) == (shift != 0) })
	}
	if told.Load() < 2 {
		t.Errorf("told %d times", told.Load())
	}
}

// In a Cluster, the median of the nodes' clocks is used.
func TestClusterClock(t *testing.T) {
	t.Parallel()
	store := open(t, redisstore.Options{URLs: urls(redistest.StartCluster(t)), Now: aheadBy(time.Hour)})
	defer store.Close()
	redistest.Await(t, "the clock is known", func() bool {
		ahead, _, known := store.Ahead()
		return known && (ahead-time.Hour).Abs() < time.Minute
	})
}
