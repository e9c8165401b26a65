package sessionstate_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	. "github.com/rudder-session/rudder-session/sessionstate"
)

func TestCloseWritesAll(t *testing.T) {
	store := newFailStore(t)
	var reports atomic.Int32
	o := Options{Report: func(err error) {
		reports.Add(1)
		if err != nil {
			t.Error(err)
		}
	}}
	table := delaying(store, o)
	request := strings.Repeat("x", 100) + "key" + strings.Repeat("x", 100)
	key := request[100:103]
	send(t, table, key, trackAt(base, 1))
	send(t, table, key, trackAt(base+3, 2))
	if n := store.counts().swaps; n != 0 {
		t.Errorf("%d writes before", n)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	if last(store.held("key")) != 3 || !store.closed || reports.Load() != 1 {
		t.Errorf("the store has %+v, closed %v, %d reports", store.held("key"), store.closed, reports.Load())
	}
	// A pending change must not keep the memory of its request alive.
	if kept := store.calls[0][0].Key; unsafe.StringData(kept) == unsafe.StringData(key) {
		t.Error("the key is a part of the request")
	}
}

// If the pending changes cannot be written, Close returns an error, and closes the
// store all the same.
func TestCloseFails(t *testing.T) {
	store := newFailStore(t)
	table := delaying(store, Options{})
	send(t, table, "key", trackAt(base, 1))
	store.set(hooks{outcome: always(failed)})
	if err := table.Close(); !errors.Is(err, errDown) {
		t.Errorf("close: %v", err)
	}
	if !store.closed {
		t.Error("the store is open")
	}
}

// Close returns even if a write fails, or is in flight, at that moment.
func TestCloseWhileWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		table := delaying(store, flushing(time.Second))
		store.set(hooks{outcome: always(failed)})
		send(t, table, "key", trackAt(base, 1))
		pass(time.Minute)
		answer := make(chan struct{})
		store.set(hooks{onSwap: waitFor(answer)})
		pass(time.Minute)
		send(t, table, "key", trackAt(base+3, 2))
		closed := make(chan error, 1)
		go func() { closed <- table.Close() }()
		synctest.Wait()
		close(answer)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if last(store.held("key")) != 3 {
			t.Errorf("the store has %+v", store.held("key"))
		}
	})
}
