package filestore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TestChangesShareTransactions: changes that arrive while the disk is busy are written
// in one transaction.
func TestChangesShareTransactions(t *testing.T) {
	s := mustOpen(t, newPath(t))
	release := filestore.HoldWriter(s)
	before := filestore.Transactions(s)
	var group sync.WaitGroup
	for i := range 500 {
		group.Go(func() {
			if err := swap(s, key(i), 0, sessionOf(i, 1)); err != nil {
				t.Error(err)
			}
		})
	}
	await(t, "all wait", func() bool { return filestore.Waiting(s) == 500 })
	release()
	group.Wait()
	if n := filestore.Transactions(s) - before; n != 1 {
		t.Errorf("500 changes took %d transactions", n)
	}
	holds(t, s, filled(0, 500, 1))
}

// TestMoreThanATransactionTakes queues more changes than fit in one transaction.
func TestMoreThanATransactionTakes(t *testing.T) {
	const n = 3*1024 + 10
	s := mustOpen(t, newPath(t))
	release := filestore.HoldWriter(s)
	before := filestore.Transactions(s)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			if err := swap(s, key(i), 0, sessionOf(i, 1)); err != nil {
				t.Error(err)
			}
		})
	}
	await(t, "all wait", func() bool { return filestore.Waiting(s) == n })
	release()
	group.Wait()
	if n := filestore.Transactions(s) - before; n < 4 {
		t.Errorf("%d transactions", n)
	}
	holds(t, s, filled(0, n, 1))
}

// TestConcurrentChanges has several writers that do not wait for each other.
func TestConcurrentChanges(t *testing.T) {
	const writers, rounds = 48, 25
	s := mustOpen(t, newPath(t))
	before := filestore.Transactions(s)
	sessiontest.Together(writers, func(i int) {
		for version := range session.Version(rounds) {
			if err := swap(s, key(i), version, sessionOf(i, version+1)); err != nil {
				t.Error(err)
			}
			// Reads do not wait, and see all completed changes.
			if got, err := s.Get(t.Context(), key(i)); err != nil || got.Version != version+1 {
				t.Errorf("got %+v, %v", got, err)
			}
		}
	})
	n := filestore.Transactions(s) - before
	if n >= writers*rounds {
		t.Errorf("%d changes took %d transactions", writers*rounds, n)
	}
	t.Logf("%d changes in %d transactions", writers*rounds, n)
	holds(t, s, filled(0, writers, rounds))
}

// TestOneOfManyWins: of several changes of a key, the first wins and the others
// conflict, within one transaction too.
func TestOneOfManyWins(t *testing.T) {
	s := mustOpen(t, newPath(t))
	release := filestore.HoldWriter(s)
	var won atomic.Int32
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			if swap(s, key(0), 0, sessionOf(i, session.Version(i)+1)) == nil {
				won.Add(1)
			}
		})
	}
	await(t, "all wait", func() bool { return filestore.Waiting(s) == 100 })
	release()
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d won", won.Load())
	}
}

// TestWithdrawnChanges: a caller that stops waiting before the writer takes its change
// has changed nothing.
func TestWithdrawnChanges(t *testing.T) {
	s := mustOpen(t, newPath(t))
	fill(t, s, 0, 10, 0, 1)
	want := filled(0, 10, 1)
	before := filestore.Transactions(s)
	release := filestore.HoldWriter(s)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	withdrawn := func(what func() error) {
		group.Go(func() {
			if err := what(); !errors.Is(err, context.Canceled) {
				t.Errorf("error: %v", err)
			}
		})
	}
	withdrawn(func() error { return swapWith(ctx, s, key(0), 1, sessionOf(0, 2)) })
	withdrawn(func() error { return swapWith(ctx, s, key(11), 0, sessionOf(11, 1)) })
	withdrawn(func() error { return s.Delete(ctx, key(1)) })
	await(t, "all wait", func() bool { return filestore.Waiting(s) == 3 })
	cancel()
	group.Wait()
	// A change behind them that is not withdrawn is done.
	group.Go(func() {
		if err := swap(s, key(2), 1, sessionOf(2, 2)); err != nil {
			t.Error(err)
		}
	})
	await(t, "one more waits", func() bool { return filestore.Waiting(s) == 1 })
	release()
	group.Wait()
	want[key(2)] = sessionOf(2, 2)
	holds(t, s, want)
	if n := filestore.Transactions(s) - before; n != 1 {
		t.Errorf("%d transactions", n)
	}
}
