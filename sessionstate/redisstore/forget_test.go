package redisstore_test

import (
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
)

// TestForget: what one proxy forgets, the others that share the Redis forget as
// soon as they are told.
func TestForget(t *testing.T) {
	tables := openTables(t, 2, redisstore.Options{URLs: []string{redistest.Start(t).URL()}})
	a, b := tables[0], tables[1]
	send(t, a, "key", Start)
	if d := send(t, b, "key", Other); d.Action != Stamp {
		t.Fatal(d)
	}
	if err := a.Forget(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	redistest.Await(t, "the other to forget", func() bool { return send(t, b, "key", Other) == (Decision{}) })
	if d := send(t, a, "key", Other); d != (Decision{}) {
		t.Error(d)
	}
}
