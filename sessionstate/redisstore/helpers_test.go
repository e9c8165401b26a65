package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

const (
	base = 1_700_000_000_000
	day  = 24 * 3600_000
)

var policy = session.Policy{Timeout: 30 * 60_000, Retention: 400 * day}

// ticks makes each message later than the previous one, with another messageId.
var ticks atomic.Int64

// message is a message of a device, with timestamps of its clock. Without these,
// concurrent calls at several tables would be ordered by their arrival at the store.
func message(kind session.Kind) session.Event {
	n := ticks.Add(1)
	times := original(base + n)
	times.Sent, times.HasSent = times.Original, true
	return session.Event{Kind: kind, Times: times, Message: session.MessageID(n)}
}

// apply sends a message of a key.
func apply(table *Table, key string, e session.Event) (session.Decision, error) {
	var d [1]session.Decision
	err := table.Apply(context.Background(), key, request(e.Times.Original, &policy, []session.Event{e}), d[:])
	// The decision without its explanation.
	return session.Decision{Action: d[0].Action, SessionID: d[0].SessionID, Start: d[0].Start, Repeated: d[0].Repeated}, err
}

// send is apply, and fails the test on an error.
func send(t testing.TB, table *Table, key string, kind session.Kind) session.Decision {
	t.Helper()
	d, err := apply(table, key, message(kind))
	if err != nil {
		t.Errorf("message of kind %d: %v", kind, err)
	}
	return d
}

// tableOver makes a table that is closed, with its store, at the end of the test.
func tableOver(t testing.TB, store Store) *Table {
	t.Helper()
	table := NewTable(store, Options{Settings: Settings{Capacity: 100_000, FlushInterval: time.Millisecond}})
	t.Cleanup(func() { table.Close() })
	return table
}

// openTables makes n tables with their own stores, like n processes.
func openTables(t testing.TB, n int, o redisstore.Options) (tables []*Table) {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = freshPrefix()
	}
	for range n {
		tables = append(tables, tableOver(t, open(t, o)))
	}
	return tables
}

// awaitID waits until events at a table get a session; 0 means none.
func awaitID(t testing.TB, table *Table, key string, id int64) {
	t.Helper()
	redistest.Await(t, fmt.Sprintf("events are of session %d", id), func() bool {
		return send(t, table, key, session.Other).SessionID == id
	})
}

var statLine = regexp.MustCompile(`cmdstat_(\w+):calls=(\d+)`)

// roundTrips is how often the server has read or written sessions so far.
func roundTrips(s *redistest.Server) (n int) {
	for _, line := range statLine.FindAllStringSubmatch(s.Do("INFO", "commandstats"), -1) {
		switch line[1] {
		case "get", "eval", "evalsha":
			calls, _ := strconv.Atoi(line[2])
			n += calls
		}
	}
	return n
}

// free fails the test if f makes the server read or write a session.
func free(t testing.TB, s *redistest.Server, what string, f func()) {
	t.Helper()
	before := roundTrips(s)
	f()
	if n := roundTrips(s) - before; n != 0 {
		t.Errorf("%s: the server was asked %d times", what, n)
	}
}

// states counts the reports of a link about its server.
type states struct {
	mu       sync.Mutex
	down, up int
	last     error
}

func (s *states) log() redisstore.Log {
	return redisstore.Log{
		Down: func(err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.down++
			s.last = err
		},
		Up: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.up++
		},
	}
}

func (s *states) get() (down, up int, last error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down, s.up, s.last
}

// awaitUp waits until calls reach the server again.
func (s *states) awaitUp(t testing.TB) {
	t.Helper()
	redistest.Await(t, "the server is found to be up", func() bool {
		down, up, _ := s.get()
		return down == up
	})
}

// sessionOf is a small session.
func sessionOf(version session.Version, id int64) *session.Session {
	return &session.Session{Version: version, Seen: base, Segments: []session.Segment{{From: session.At(base), ID: id, Mode: session.Manual}}}
}

func swapOne(s *redisstore.Store, key string, old session.Version, next *session.Session) (bool, error) {
	change := []Swap{{Key: key, Old: old, Next: next}}
	s.CompareAndSwap(context.Background(), change)
	return change[0].Done, change[0].Err
}

func isDown(err error) bool { return errors.Is(err, redisstore.ErrDown) }

// original returns the timestamps of a message with an originalTimestamp and no sentAt.
func original(at int64) session.Timestamps {
	return session.Timestamps{Original: at, HasOriginal: true}
}

func request(now int64, p *session.Policy, events []session.Event) *session.Request {
	return &session.Request{Received: now, Policy: p, Events: events}
}
