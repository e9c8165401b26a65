package redisstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A server that crashed and restarted is used again, with the data that it has kept.
func TestServerCrash(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		keeps bool
	}{
		"keeps nothing":    {nil, false},
		"keeps all in AOF": {[]string{"--appendonly", "yes", "--appendfsync", "always"}, true},
	} {
		for consistency, strict := range map[string]bool{"eventual": false, "strict": true} {
			t.Run(name+", "+consistency, func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t, c.args...)
				tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}, Strict: strict})
				for round := range 3 {
					var ids []int64
					for i := range 20 {
						ids = append(ids, send(t, tables[i%2], fmt.Sprint("key ", round, i), session.Start).SessionID)
					}
					server.Kill()
					server.Restart()
					awaitWell(t, tables...)
					for i, id := range ids {
						if !c.keeps {
							id = 0
						}
						for _, table := range tables {
							if d := send(t, table, fmt.Sprint("key ", round, i), session.Other); d.SessionID != id {
								t.Fatalf("session %d after the crash, not %d", d.SessionID, id)
							}
						}
					}
				}
			})
		}
	}
}

// awaitWell waits until tables answer control calls again.
func awaitWell(t *testing.T, tables ...*Table) {
	t.Helper()
	for _, table := range tables {
		redistest.Await(t, "control calls are answered", func() bool {
			_, err := apply(table, "well?", message(session.Start))
			return err == nil
		})
	}
}

// While the server is away, events and control calls fail, and change nothing.
func TestServerIsAway(t *testing.T) {
	for consistency, strict := range map[string]bool{"eventual": false, "strict": true} {
		t.Run(consistency, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			var seen states
			table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Strict: strict, Log: seen.log()})[0]
			id := send(t, table, "key", session.Start).SessionID
			send(t, table, "key", session.Other)
			server.Kill()
			redistest.Await(t, "the loss is noticed", func() bool {
				_, err := apply(table, "key", message(session.Other))
				return err != nil
			})
			for _, kind := range []session.Kind{session.Other, session.Start, session.Other, session.End, session.Identify, session.Reset, session.Other, session.Start} {
				for _, key := range []string{"key", "unknown"} {
					if _, err := apply(table, key, message(kind)); err == nil {
						t.Errorf("a message of kind %d is answered while the server is away", kind)
					}
				}
			}
			if _, err := table.Current(t.Context(), "key", base, &policy); !isDown(err) {
				t.Errorf("after so many errors the server is still asked: %v", err)
			}
			server.Restart()
			seen.awaitUp(t)
			if down, _, _ := seen.get(); down != 1 {
				t.Errorf("the server was said to be down %d times", down)
			}
			if d := send(t, table, "key", session.Other); d.SessionID != id || d.Start {
				t.Errorf("once the server is back: %+v, not of session %d", d, id)
			}
			if d := send(t, table, "unknown", session.Other); d != (session.Decision{}) {
				t.Errorf("a key of which no call was answered: %+v", d)
			}
		})
	}
}

// A store can be opened before its server is there.
func TestServerComesLater(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	var seen states
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Log: seen.log()})[0]
	if down, up, err := seen.get(); down != 1 || up != 0 || err == nil {
		t.Errorf("down %d times, up %d times, %v", down, up, err)
	}
	for range 10 {
		if _, err := apply(table, "key", message(session.Start)); !isDown(err) {
			t.Errorf("a call to a server that is not there: %v", err)
		}
	}
	server.Restart()
	seen.awaitUp(t)
	awaitID(t, table, "key", send(t, table, "key", session.Start).SessionID)
}

// A store that never found its server, or lost it, can be closed.
func TestCloseWhileDown(t *testing.T) {
	server := redistest.Start(t)
	store := open(t, redisstore.Options{URLs: []string{server.URL()}, Timeout: time.Second})
	server.Kill()
	redistest.Await(t, "the server is found to be down", func() bool {
		_, err := store.Get(t.Context(), "key")
		return isDown(err)
	})
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if err := open(t, redisstore.Options{URLs: []string{server.URL()}, Timeout: time.Second}).Close(); err != nil {
		t.Error(err)
	}
}
