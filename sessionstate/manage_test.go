package sessionstate_test

import (
	"fmt"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestForgottenEverywhere: when one table forgets a key, another that shares its store
// forgets it too, and does not write it again.
func TestForgottenEverywhere(t *testing.T) {
	p := newPair(t, Options{})
	ask(t, p.a, "key", startAt(base, 1))
	ask(t, p.a, "key", trackAt(base, 2))
	if got := ask(t, p.b, "key", trackAt(base+1, 3)); got.SessionID != base {
		t.Fatal(got)
	}
	if err := p.a.Forget(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	p.there.changed("key")
	for name, table := range map[string]*Table{"a": p.a, "b": p.b} {
		if s, err := table.Session(t.Context(), "key"); s != nil || err != nil {
			t.Errorf("%s knows %+v, %v", name, s, err)
		}
		if got := ask(t, table, "key", trackAt(base+2, 4)); got != (session.Decision{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestManaged: on each kind of table a session can be read, listed with its pending
// changes, imported and forgotten.
func TestManaged(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		for i := range 20 {
			key := fmt.Sprint("key ", i)
			ask(t, table, key, startAt(base, 1))
			ask(t, table, key, trackAt(base+1, 2)) // the mark is written later
		}
		all := map[string]*session.Session{}
		if err := table.Each(t.Context(), func(key string, s *session.Session) error {
			if key != "other" {
				all[key] = s
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(all) != 20 {
			t.Errorf("%d sessions", len(all))
		}
		for key, listed := range all {
			seen, err := table.Session(t.Context(), key)
			if err != nil || seen.Version != listed.Version || seen.Segments[0].Mark != 2 || listed.Segments[0].Mark != 2 {
				t.Fatalf("%s: listed %+v, seen %+v, %v", key, listed, seen, err)
			}
			if written, err := table.Put(t.Context(), key, listed); written || err != nil {
				t.Errorf("put over itself: %v, %v", written, err)
			}
			if err := table.Forget(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if s, err := table.Session(t.Context(), key); s != nil || err != nil {
				t.Errorf("forgotten: %+v, %v", s, err)
			}
			if written, err := table.Put(t.Context(), key, listed); !written || err != nil {
				t.Errorf("put back: %v, %v", written, err)
			}
			if got := ask(t, table, key, trackAt(base+2, 3)); got.SessionID != base || got.Start {
				t.Errorf("after it was put back: %+v", got)
			}
		}
	})
}

func TestPreviewChangesNothing(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		var d [1]session.Decision
		for range 2 {
			next, err := table.Preview(t.Context(), "key", request(base, &policy, []session.Event{startAt(base, 1)}), d[:])
			if err != nil || session.Current(next, base, &policy) != base {
				t.Fatalf("%+v, %v", next, err)
			}
			if d[0].SessionID != base || d[0].Repeated || !d[0].Because.Began {
				t.Errorf("%+v", d[0])
			}
		}
		if s, err := table.Session(t.Context(), "key"); s != nil || err != nil {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// TestUnlink: a link is removed, in memory and in the store; the intervals on both
// sides of it become one.
func TestUnlink(t *testing.T) {
	eachTable(t, func(t *testing.T, table *Table) {
		var d [1]session.Decision
		for i, device := range []string{"one", "two", "one"} {
			sighting := []session.Event{{Role: session.UserActivity, Link: device, Times: original(base + int64(i))}}
			if err := table.Apply(t.Context(), "user", request(base+10, &policy, sighting), d[:]); err != nil {
				t.Fatal(err)
			}
		}
		for _, link := range []string{"three", "two", "two"} {
			if err := table.Unlink(t.Context(), "user", link); err != nil {
				t.Fatal(err)
			}
		}
		s, err := table.Session(t.Context(), "user")
		if err != nil || intervalsText(s.Links) != fmt.Sprintf("one %d-%d ", base, base+2) {
			t.Errorf("%v, %v", s, err)
		}
		if err := table.Unlink(t.Context(), "nobody", "one"); err != nil {
			t.Error(err)
		}
	})
}
