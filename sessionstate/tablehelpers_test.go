package sessionstate_test

import (
	"context"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// long is an interval that is longer than any test.
const long = 24 * time.Hour

// open makes a table that is closed with the test.
func open(t testing.TB, store Store, o Options) *Table {
	table := delaying(store, o)
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return table
}

// delaying makes a table that the test must close. It delays changes as long as
// possible, unless o says otherwise.
func delaying(store Store, o Options) *Table {
	if o.Capacity == 0 {
		o.Capacity = 1000
	}
	if o.FlushInterval == 0 {
		o.FlushInterval = long
	}
	return NewTable(store, o)
}

// flushing returns options with a flush interval.
func flushing(interval time.Duration) Options {
	return Options{Settings: Settings{FlushInterval: interval}}
}

// give sends one message, which is received shortly after it happened.
func give(table *Table, key string, p *session.Policy, e session.Event) (session.Decision, error) {
	var d [1]session.Decision
	err := table.Apply(context.Background(), key, request(max(base+1000, e.Times.Original), p, []session.Event{e}), d[:])
	return d[0], err
}

// proxied is a policy under which events begin and extend sessions.
var proxied = session.Policy{Automatic: session.AutomaticProxy, Timeout: 30 * 60_000, Retention: 400 * 24 * 3600_000}

const minutes = 60_000

// send sends one message that must be answered.
func send(t testing.TB, table *Table, key string, e session.Event) session.Decision {
	d, err := give(table, key, &proxied, e)
	if err != nil {
		t.Helper()
		t.Errorf("%s: %v", brief(e), err)
	}
	return d
}

func endAt(at int64, m session.MessageID) session.Event {
	return session.Event{Kind: session.End, Times: original(at), Message: m}
}

// current returns the session that a client would get for a key.
func current(t testing.TB, table *Table, key string, at int64) int64 {
	t.Helper()
	id, err := table.Current(t.Context(), key, at, &proxied)
	if err != nil {
		t.Errorf("current session: %v", err)
	}
	return id
}

// last is the time of the last event of a stored session.
func last(s *session.Session) int64 {
	if s == nil || len(s.Segments) == 0 {
		return 0
	}
	return s.Segments[len(s.Segments)-1].Last.Time - base
}
