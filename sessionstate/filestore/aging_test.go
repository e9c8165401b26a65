package filestore_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestAgedFiles reopens files many times between random changes: none is taken for
// damaged, whatever was written and forgotten in it.
func TestAgedFiles(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel() // they wait for the disk
			random := rand.New(rand.NewPCG(seed, 9))
			path := newPath(t)
			model := map[string]*session.Session{}
			for range 16 {
				s := mustOpen(t, path)
				holds(t, s, model)
				live(t, s, random, model)
				holds(t, s, model)
				closeOnce(t, s)
			}
		})
	}
}

// live makes random changes of sessions, and the same changes of the model.
func live(t *testing.T, s *filestore.Store, random *rand.Rand, model map[string]*session.Session) {
	t.Helper()
	next := func(n int, old *session.Session) *session.Session {
		v := sessionOf(n, 1)
		if old != nil {
			v.Version = old.Version + 1
		}
		for range random.IntN(session.MaxSegments) {
			v.Segments = append(v.Segments, v.Segments[0])
		}
		return v
	}
	put := func(names []string) {
		t.Helper()
		changes := make([]Swap, len(names))
		for i, name := range names {
			old := model[name]
			model[name] = next(random.IntN(1<<30), old)
			changes[i] = Swap{Key: name, Next: model[name]}
			if old != nil {
				changes[i].Old = old.Version
			}
		}
		s.CompareAndSwap(t.Context(), changes)
		for _, c := range changes {
			if !c.Done || c.Err != nil {
				t.Fatalf("%v, %v", c.Done, c.Err)
			}
		}
	}
	remove := func(names []string) {
		t.Helper()
		for _, name := range names {
			delete(model, name)
		}
		sessiontest.Together(len(names), func(i int) {
			if err := s.Delete(t.Context(), names[i]); err != nil {
				t.Error(err)
			}
		})
	}
	there := slices.Sorted(maps.Keys(model))
	from := 0
	if len(there) > 0 {
		from = random.IntN(len(there))
	}
	few := there[from:min(from+1+random.IntN(150), len(there))]
	switch random.IntN(8) {
	case 0, 1, 2: // new ones, anywhere
		var names []string
		for range 1 + random.IntN(400) {
			names = append(names, key(random.IntN(1<<30)))
		}
		slices.Sort(names)
		put(slices.Compact(names))
	case 3: // new ones before and after all others, some of them long
		var names []string
		for n := range 1 + random.IntN(60) {
			side := []string{"\x00", "\xff"}[random.IntN(2)]
			names = append(names, fmt.Sprintf("%s%08x%s%d", side, random.Uint32(), strings.Repeat("k", random.IntN(6000)*(n%2)), n))
		}
		put(names)
	case 4: // a range changes
		put(few)
	case 5: // a range is deleted
		remove(few)
	case 6: // the first and the last are deleted
		remove(there[:min(len(there), random.IntN(40))])
		there = slices.Sorted(maps.Keys(model))
		remove(there[len(there)-min(len(there), random.IntN(40)):])
	case 7: // nearly all are deleted
		random.Shuffle(len(there), func(i, j int) { there[i], there[j] = there[j], there[i] })
		remove(there[:len(there)*random.IntN(11)/10])
	}
}
