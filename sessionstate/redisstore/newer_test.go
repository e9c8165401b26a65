package redisstore_test

import (
	"errors"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A session that a newer proxy has written stays as it is, whatever messages come for
// it; other sessions work.
func TestNewerValues(t *testing.T) {
	server := redistest.Start(t)
	const prefix = "newer:"
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})[0]
	send(t, table, "key", session.Start)
	stored := []byte(server.Do("GET", prefix+"key"))
	stored[0] = session.ReadFormat + 1
	stored[8]++ // the version's last byte: each write has another version
	value := string(stored) + "more of a later format"
	server.Do("SET", prefix+"key", value)
	redistest.Await(t, "it is seen", func() bool {
		_, err := apply(table, "key", message(session.Other))
		return errors.Is(err, session.ErrNewer)
	})
	for range 10 { // more errors than it takes to count as down
		for _, kind := range []session.Kind{session.Other, session.Start, session.End, session.Reset} {
			if _, err := apply(table, "key", message(kind)); !errors.Is(err, session.ErrNewer) {
				t.Errorf("%v", err)
			}
		}
	}
	if err := table.Release(t.Context(), "key", 1, 1); !errors.Is(err, session.ErrNewer) {
		t.Errorf("%v", err)
	}
	if got := server.Do("GET", prefix+"key"); got != value {
		t.Errorf("there is %q now", got)
	}
	send(t, table, "other", session.Start)
	if s := table.Stats(); s.Down != 0 || s.Newer == 0 {
		t.Errorf("%+v", s)
	}
}
