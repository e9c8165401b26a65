package filestore_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// TestSourcesTakeTurns: changes of another source do not wait behind the many waiting
// changes of one: they are in the next transaction.
func TestSourcesTakeTurns(t *testing.T) {
	sources := slices.Repeat([]string{"flood"}, 5000)
	sources = append(sources, slices.Repeat([]string{"other"}, 20)...)
	sources = append(sources, "third")
	taken := filestore.Turns(sources)
	if len(taken) != 1024 {
		t.Errorf("%d are taken", len(taken))
	}
	for i := 5000; i < len(sources); i++ {
		if !slices.Contains(taken, i) {
			t.Errorf("%d of %s is not", i, sources[i])
		}
	}
	for _, source := range []string{"flood", "other"} {
		var own []int
		for _, i := range taken {
			if sources[i] == source {
				own = append(own, i)
			}
		}
		if !slices.IsSorted(own) {
			t.Errorf("those of %s are taken as %d", source, own)
		}
	}
}

// TestSingleChangesGoFirst: a single change does not wait behind a call with many.
func TestSingleChangesGoFirst(t *testing.T) {
	s := mustOpen(t, newPath(t))
	release := filestore.HoldWriter(s)
	var group sync.WaitGroup
	group.Go(func() { fill(t, s, 10, 1010, 0, 1) })
	await(t, "they wait", func() bool { return filestore.Waiting(s) == 1 })
	group.Go(func() {
		if err := swap(s, key(5), 0, sessionOf(5, 7)); err != nil {
			t.Error(err)
		}
	})
	await(t, "all wait", func() bool { return filestore.Waiting(s) == 2 })
	before := filestore.Transactions(s)
	release()
	group.Wait()
	if n := filestore.Transactions(s) - before; n != 2 {
		t.Errorf("%d transactions", n)
	}
}

// TestWithdrawnLeaveNothing: withdrawn changes take no memory.
func TestWithdrawnLeaveNothing(t *testing.T) {
	s := mustOpen(t, newPath(t))
	release := filestore.HoldWriter(s)
	for round := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				if err := swapWith(ctx, s, key(i), 0, sessionOf(i, 1)); !errors.Is(err, context.Canceled) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		await(t, "all wait", func() bool { return filestore.Waiting(s) == 100 })
		cancel()
		group.Wait()
		if n := filestore.Waiting(s); n != 0 {
			t.Fatalf("%d wait", n)
		}
	}
	release()
	holds(t, s, nil)
	if err := swap(s, key(0), 0, sessionOf(0, 1)); err != nil {
		t.Error(err)
	}
}
