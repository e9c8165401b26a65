package redisstore_test

import (
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestForget: when one proxy forgets a key, the others that share the Redis forget it
// when they are notified.
func TestForget(t *testing.T) {
	tables := openTables(t, 2, redisstore.Options{URLs: []string{redistest.Start(t).URL()}})
	a, b := tables[0], tables[1]
	send(t, a, "key", session.Start)
	if d := send(t, b, "key", session.Other); d.Action != session.Stamp {
		t.Fatal(d)
	}
	if err := a.Forget(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	redistest.Await(t, "the other to forget", func() bool { return send(t, b, "key", session.Other) == (session.Decision{}) })
	if d := send(t, a, "key", session.Other); d != (session.Decision{}) {
		t.Error(d)
	}
}
