package memorystore_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
	"github.com/rudder-session/rudder-session/sessionstate/storetest"
)

func TestStore(t *testing.T) {
	// Below and above the capacity from which the memory is sharded.
	for _, capacity := range []int{1000, 100_000} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			storetest.Run(t, func(*testing.T) sessionstate.Store {
				s := memorystore.New()
				s.Resize(capacity)
				return s
			})
		})
	}
}

func TestKeepsTheMostRecentlyUsed(t *testing.T) {
	s := memorystore.New()
	s.Resize(2)
	v := &session.Session{Version: 1, Segments: []session.Segment{{}}}
	for _, key := range []string{"one", "two", "three"} {
		change := []sessionstate.Swap{{Key: key, Next: v}}
		if s.CompareAndSwap(t.Context(), change); !change[0].Done {
			t.Fatal(change[0].Err)
		}
		// Read it before each write of another key.
		if got, err := s.Get(t.Context(), "one"); !reflect.DeepEqual(got, v) || err != nil {
			t.Errorf("after %q: %v, %v", key, got, err)
		}
	}
	if got, err := s.Get(t.Context(), "two"); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if s.Len() != 2 || s.Evicted() != 1 {
		t.Errorf("%d kept, %d evicted", s.Len(), s.Evicted())
	}
}
