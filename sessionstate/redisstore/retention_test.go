package redisstore_test

import (
	"strconv"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func expiryOf(t *testing.T, s *redistest.Server, key string) int64 {
	t.Helper()
	ms, err := strconv.ParseInt(s.Do("PTTL", key), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

// Redis deletes a session some time after its retention, never before it, and not as
// long as its user comes back.
func TestRetention(t *testing.T) {
	server := redistest.Start(t)
	const prefix, retention = "kept:", 90 * day
	// With such a short timeout, extensions are written soon.
	p := session.Policy{Timeout: 800, Retention: retention}
	table := NewTable(open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix}), Options{
		Settings: Settings{Capacity: 100, Retention: retention},
	})
	defer table.Close()
	apply := func(now int64, kind session.Kind) {
		t.Helper()
		var d [1]session.Decision
		e := session.Event{Kind: kind, Times: original(base + now), Message: session.MessageID(ticks.Add(1))}
		if err := table.Apply(t.Context(), "key", request(base+now, &p, []session.Event{e}), d[:]); err != nil {
			t.Fatal(err)
		}
	}
	within := func(what string) {
		t.Helper()
		// The last time at which the session still counts, with some tolerance.
		const last = retention + retention/16
		if ms := expiryOf(t, server, prefix+"key"); ms <= last || ms > retention+retention/4 {
			t.Errorf("%s: it is kept for %d ms, not a bit longer than %d", what, ms, last)
		}
	}
	apply(0, session.Start)
	within("startSession")
	apply(1, session.Other)
	within("its first event")
	server.Do("PEXPIRE", prefix+"key", strconv.Itoa(retention/2))
	redistest.Await(t, "the key is read again", func() bool { return table.Len() == 0 })
	apply(2, session.Other)
	if ms := expiryOf(t, server, prefix+"key"); ms > retention/2 {
		t.Errorf("an event that changes nothing is written: %d", ms)
	}
	apply(retention/2, session.Other)
	redistest.Await(t, "that the user came back is written", func() bool {
		return expiryOf(t, server, prefix+"key") > retention
	})
	within("an event much later")
}

// Without a retention sessions are kept for ever; those that had an expiry lose it at
// their next change.
func TestNoRetention(t *testing.T) {
	server := redistest.Start(t)
	const prefix = "kept:"
	store := open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})
	defer store.Close()
	version := session.Version(0)
	write := func() {
		t.Helper()
		if ok, err := swapOne(store, "key", version, sessionOf(version+1, 1_000_000_000)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		version++
	}
	for _, c := range []struct{ retention, least, most int64 }{
		{-1, -1, -1}, // Retain is never called
		{0, -1, -1},
		{day, day, 2 * day},
		{100 * 365 * day, 100 * 365 * day, 200 * 365 * day},
		{1, 0, 2},
		{0, -1, -1},
	} {
		if c.retention >= 0 {
			store.Retain(c.retention)
		}
		write()
		ms := expiryOf(t, server, prefix+"key")
		if c.retention == 1 {
			// It may be deleted by now.
			version = 0
			redistest.Await(t, "it is forgotten", func() bool { return server.Do("EXISTS", prefix+"key") == "0" })
			continue
		}
		if ms < c.least-60_000 || ms > c.most {
			t.Errorf("with a retention of %d it is kept for %d ms", c.retention, ms)
		}
	}
}
