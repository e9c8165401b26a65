package sessionstate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// as returns the context of a source's requests.
func as(source string) context.Context {
	return (&Caller{Source: source}).In(context.Background())
}

// giveAs does what give does, for a source.
func giveAs(source string, table *Table, key string, e session.Event) (session.Decision, error) {
	var d [1]session.Decision
	err := table.Apply(as(source), key, request(base+1000, &proxied, []session.Event{e}), d[:])
	return d[0], err
}

// While the store accepts no writes, the queue takes a limited number of keys. New keys
// of one source can only take a part of it: known users of the source, other sources
// and control calls go on. When the store works again, everything is written.
func TestFloodTakesItsShareOfTheQueue(t *testing.T) {
	const eighth = 100
	t.Cleanup(LimitDelayed(8 * eighth))
	store := newFailStore(t)
	table := delaying(store, Options{Settings: Settings{Capacity: 16 * eighth}})
	for _, key := range []string{"settled", "other settled"} {
		if d, err := giveAs("flood", table, key, startAt(base, 1)); err != nil || d.SessionID != base {
			t.Fatal(d, err)
		}
	}
	store.set(hooks{outcome: always(failed)})
	taken := 0
	for i := range 8 * eighth {
		if _, err := giveAs("flood", table, fmt.Sprint("key ", i), trackAt(base, 1)); err == nil {
			taken++
		}
	}
	if taken != 3*eighth {
		t.Errorf("%d new keys of one source were taken", taken)
	}
	if _, err := giveAs("other", table, "new", trackAt(base, 2)); err != nil {
		t.Errorf("a new user of another source: %v", err)
	}
	if d, err := giveAs("flood", table, "settled", trackAt(base, 2)); err != nil || !d.Start {
		t.Errorf("a known user of the source: %+v, %v", d, err)
	}
	// Keys that are in the queue can change again.
	if d, err := giveAs("flood", table, "key 7", trackAt(base+5, 2)); err != nil || d.SessionID != base || d.Start {
		t.Errorf("%+v, %v", d, err)
	}
	// Rollbacks of failed control calls are queued as well, and limited too.
	for i := range 3 * eighth {
		if _, err := giveAs("flood", table, fmt.Sprint("call ", i), startAt(base, 1)); err == nil {
			t.Fatal("a call was answered that the store did not take")
		}
	}
	if _, err := giveAs("other", table, "new too", trackAt(base, 2)); err != nil {
		t.Errorf("a new user of another source: %v", err)
	}
	store.set(hooks{})
	if _, err := giveAs("other", table, "caller", startAt(base, 1)); err != nil {
		t.Errorf("a control call: %v", err)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	if last(store.held("key 7")) != 5 || store.held("new") == nil || store.held("new too") == nil || len(store.held("settled").Segments) != 1 {
		t.Errorf("the store has %+v", store.held("settled"))
	}
}

// If the queue has no room for the extension of a session, it is kept in memory only,
// and the event is still stamped.
func TestNoRoomForExtensions(t *testing.T) {
	const known, delayed = 5, 800
	t.Cleanup(LimitDelayed(delayed))
	store := newFailStore(t)
	table := delaying(store, Options{Settings: Settings{Capacity: 2 * delayed}})
	for i := range known {
		send(t, table, fmt.Sprint("known ", i), trackAt(base, 1))
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	store = store.reopened(t)
	table = delaying(store, Options{Settings: Settings{Capacity: 2 * delayed}})
	store.set(hooks{outcome: always(failed)})
	for i := range delayed {
		source := fmt.Sprint("source ", i%8)
		if i%2 == 1 {
			giveAs(source, table, fmt.Sprint("key ", i), trackAt(base, 1))
		} else {
			giveAs(source, table, fmt.Sprint("call ", i), startAt(base, 1))
		}
	}
	for round := range int64(3) {
		for i := range known {
			if d, err := giveAs("source 1", table, fmt.Sprint("known ", i), trackAt(base+100*(round+1), session.MessageID(2+round))); err != nil || d.SessionID != base {
				t.Errorf("%+v, %v", d, err)
			}
		}
	}
	// Later changes build on the stored session, as if it had not happened.
	store.set(hooks{})
	if d, err := giveAs("source 1", table, "known 0", endAt(base+500, 9)); err != nil || d.Because.Reason != session.Applied {
		t.Errorf("%+v, %v", d, err)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
}

// With WriteFirst, the beginning or end of a session is in the store when the request
// is answered; an extension is not. Concurrent changes share a write.
func TestWriteFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFailStore(t)
		o := flushing(time.Hour)
		o.WriteFirst = true
		table := open(t, store, o)
		send(t, table, "key", trackAt(base, 1))
		if store.held("key") == nil || store.counts().swaps != 1 {
			t.Errorf("asked %+v", store.counts())
		}
		send(t, table, "key", trackAt(base+5, 2))
		pass(time.Minute)
		if got := store.counts(); got.swaps != 1 || last(store.held("key")) != 0 {
			t.Errorf("asked %+v", got)
		}
		// An identify with the first user, and one with another.
		for i, user := range []session.UserID{7, 8} {
			e := trackAt(base+10+int64(i), session.MessageID(3+i))
			e.Kind, e.User = session.Identify, user
			send(t, table, "key", e)
			if segments := store.held("key").Segments; segments[len(segments)-1].User != user || len(segments) != 1+i {
				t.Errorf("the store has %+v", segments)
			}
		}
		before := store.counts()
		caller := &Caller{Source: "source"}
		for i := range 100 {
			var d [1]session.Decision
			if err := table.Apply(caller.In(t.Context()), fmt.Sprint("key ", i), request(base+1000, &proxied, []session.Event{trackAt(base, 1)}), d[:]); err != nil {
				t.Error(err)
			}
		}
		caller.Wait(t.Context())
		if n := len(store.all()); n != 101 {
			t.Errorf("%d are in the store", n)
		}
		if got := store.since(before); got.swaps > 100 || got.refused > 0 {
			t.Errorf("asked %+v", got)
		}
	})
}

// If the store accepts no writes, only the first request waits, until its deadline;
// everything is written when the store works again.
func TestWriteFirstWhileTheStoreFails(t *testing.T) {
	for name, f := range map[string]outcome{"failed": failed, "answer lost": answerLost} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFailStore(t)
				o := flushing(100 * time.Millisecond)
				o.WriteFirst, o.Deadline = true, time.Second
				table := open(t, store, o)
				answer := make(chan struct{})
				store.set(hooks{onSwap: waitFor(answer), outcome: always(f)})
				begun := time.Now()
				send(t, table, "slow", trackAt(base, 1))
				if took := time.Since(begun); took != time.Second {
					t.Errorf("waited for %v", took)
				}
				close(answer)
				synctest.Wait()
				begun = time.Now()
				for i := range 100 {
					if d := send(t, table, fmt.Sprint("key ", i), trackAt(base, 1)); !d.Start {
						t.Errorf("%+v", d)
					}
				}
				if took := time.Since(begun); took != 0 {
					t.Errorf("waited for %v", took)
				}
				store.set(hooks{})
				pass(5 * time.Second)
				if n := len(store.all()); n != 101 {
					t.Errorf("%d are in the store", n)
				}
				send(t, table, "after", trackAt(base, 1))
				if store.held("after") == nil {
					t.Error("it was not waited for")
				}
			})
		})
	}
}

// Urgent changes are written in turns by source: many of one source do not delay those
// of another.
func TestSourcesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 5 * WriteChunk
		store := newFailStore(t)
		o := flushing(time.Hour)
		o.WriteFirst, o.Settings.Capacity = true, 2*many
		table := open(t, store, o)
		answer := make(chan struct{}, 1)
		calls := 0
		store.set(hooks{onSwap: func(ctx context.Context, _ []Swap) error {
			calls++
			select {
			case <-answer:
			case <-ctx.Done():
			}
			return nil
		}})
		floods := &Caller{Source: "flood"}
		first := make(chan struct{})
		go func() {
			defer close(first)
			send(t, table, "first", trackAt(base, 1))
		}()
		synctest.Wait()
		var d [1]session.Decision
		for i := range many {
			if err := table.Apply(floods.In(t.Context()), fmt.Sprint("key ", i), request(base+1000, &proxied, []session.Event{trackAt(base, 1)}), d[:]); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			other := &Caller{Source: "other"}
			var d [1]session.Decision
			if err := table.Apply(other.In(t.Context()), "other", request(base+1000, &proxied, []session.Event{trackAt(base, 1)}), d[:]); err != nil {
				t.Error(err)
			}
			other.Wait(t.Context())
		}()
		synctest.Wait()
		answer <- struct{}{}
		<-first
		answer <- struct{}{}
		<-done
		if store.held("other") == nil || len(store.all()) > 1+WriteChunk {
			t.Errorf("%d were written before it", len(store.all()))
		}
		store.set(hooks{})
		close(answer)
		floods.Wait(t.Context())
		if n := len(store.all()); n != many+2 {
			t.Errorf("%d are written", n)
		}
	})
}

// A session that a later version has written is an error each time, is reported once,
// and stays unchanged.
func TestNewerIsReportedOnce(t *testing.T) {
	store := newFailStore(t)
	told := 0
	table := open(t, store, Options{OnNewer: func() { told++ }})
	store.set(hooks{onGet: func(context.Context, string) error { return session.ErrNewer }})
	for i, e := range []session.Event{trackAt(base, 1), startAt(base, 2), endAt(base, 3)} {
		if _, err := give(table, fmt.Sprint("key ", i), &proxied, e); !errors.Is(err, session.ErrNewer) {
			t.Errorf("%v", err)
		}
	}
	if told != 1 || table.Stats().Newer != 3 {
		t.Errorf("told %d times, counted %d", told, table.Stats().Newer)
	}
	if got := store.counts(); got.swaps != 0 {
		t.Errorf("asked %+v", got)
	}
}

// A slow store gets few changes at a time, so that a control call does not wait long
// for them.
func TestSlowStoreGetsFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5 * WriteChunk
		store := newFailStore(t)
		table := open(t, store, flushing(time.Second))
		each := time.Millisecond
		longest := time.Duration(0)
		store.set(hooks{onSwap: func(_ context.Context, changes []Swap) error {
			took := time.Duration(len(changes)) * each
			longest = max(longest, took)
			time.Sleep(took)
			return nil
		}})
		write := func(from int) {
			for i := range n {
				send(t, table, fmt.Sprint("key ", from+i), trackAt(base, 1))
			}
			pass(time.Hour)
		}
		write(0)
		if longest != WriteChunk*each {
			t.Errorf("the first write took %v", longest)
		}
		longest = 0
		write(n)
		if longest > 150*time.Millisecond {
			t.Errorf("a write took %v when it was known to be slow", longest)
		}
		// When it is fast again, the number grows.
		each = time.Microsecond
		write(2 * n)
		longest = 0
		write(3 * n)
		if longest != WriteChunk*each {
			t.Errorf("the longest write took %v", longest)
		}
		if len(store.all()) != 4*n {
			t.Errorf("%d are written", len(store.all()))
		}
	})
}
