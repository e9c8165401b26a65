package sessionstate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

var errDown = errors.New("store is down")

func TestErrorsChangeNothing(t *testing.T) {
	store := newShared()
	table := newTable(t, store, 1000, 0)
	ask(t, table, "known", startAt(base, 1))
	before := store.sessions["known"]
	down := func(context.Context) error { return errDown }

	apply := func(key string, e session.Event) error {
		return table.Apply(t.Context(), key, request(base+1000, &policy, []session.Event{e}), make([]session.Decision, 1))
	}
	store.onSwap = down
	for name, err := range map[string]error{
		"start of a known key":   apply("known", startAt(base+1, 2)),
		"mark of a known key":    apply("known", trackAt(base+1, 3)),
		"start of a new key":     apply("new", startAt(base, 4)),
		"release of a known key": nil,
	} {
		if name != "release of a known key" && !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	store.onGet = down
	if err := apply("unknown", trackAt(base, 5)); !errors.Is(err, errDown) {
		t.Errorf("event of an unknown key: %v", err)
	}
	if err := table.Release(t.Context(), "unknown", 5, base); !errors.Is(err, errDown) {
		t.Errorf("release: %v", err)
	}
	if _, err := table.Current(t.Context(), "unknown", base, &policy); !errors.Is(err, errDown) {
		t.Errorf("current: %v", err)
	}
	store.onGet, store.onSwap = nil, nil
	if len(store.sessions) != 1 || store.sessions["known"] != before {
		t.Errorf("store holds %v", store.sessions)
	}
	// Then the table works as before.
	if d := ask(t, table, "known", trackAt(base+1, 3)); !d.Start || d.SessionID != base {
		t.Errorf("%+v", d)
	}
	store.onSwap = down
	if err := table.Release(t.Context(), "known", 3, base); !errors.Is(err, errDown) {
		t.Errorf("release of a known key: %v", err)
	}
	store.onSwap = nil
	if d := ask(t, table, "known", trackAt(base+1, 3)); !d.Start {
		t.Errorf("%+v", d)
	}
}

// A swap whose answer is lost may have been done: the table must read the session
// again.
func TestSwapOfUnknownOutcome(t *testing.T) {
	store := newShared()
	table := newTable(t, store, 1000, 0)
	store.answerLost = errDown
	call := startAt(base, 1)
	err := table.Apply(t.Context(), "key", request(base, &policy, []session.Event{call}), make([]session.Decision, 1))
	if !errors.Is(err, errDown) {
		t.Error(err)
	}
	store.answerLost = nil
	if d := ask(t, table, "key", call); !d.Repeated || d.SessionID != base {
		t.Errorf("%+v", d)
	}
	store.answerLost = errDown
	err = table.Apply(t.Context(), "key", request(base, &policy, []session.Event{trackAt(base, 2)}), make([]session.Decision, 1))
	if !errors.Is(err, errDown) {
		t.Error(err)
	}
	store.answerLost = nil
	if ask(t, table, "key", trackAt(base, 3)).Start || !ask(t, table, "key", trackAt(base, 2)).Start {
		t.Error("the mark was given twice")
	}
}

// A call of a hanging store ends at the deadline; known sessions never wait.
func TestDeadline(t *testing.T) {
	store := newShared()
	table := newTable(t, store, 1000, time.Millisecond)
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	ask := func(key string, e session.Event) error {
		return table.Apply(context.Background(), key, request(base, &policy, []session.Event{e}), make([]session.Decision, 1))
	}
	store.onGet = wait
	if err := ask("key", trackAt(base, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("get: %v", err)
	}
	store.onGet, store.onSwap = nil, wait
	if err := ask("key", startAt(base, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("swap: %v", err)
	}
	store.onSwap = nil
	table = newTable(t, store, 1000, time.Hour)
	for _, e := range []session.Event{startAt(base, 1), trackAt(base, 2)} {
		if err := ask("key", e); err != nil {
			t.Fatal(err)
		}
	}
	store.onGet, store.onSwap = wait, wait
	if err := ask("key", trackAt(base, 3)); err != nil {
		t.Errorf("known session: %v", err)
	}
}

func TestEachCallHasItsOwnDeadline(t *testing.T) {
	for deadline, want := range map[time.Duration]bool{0: false, time.Hour: true} {
		store := newShared()
		calls := 0
		store.onGet = func(ctx context.Context) error {
			calls++
			if _, has := ctx.Deadline(); has != want {
				t.Errorf("deadline %v: the call has one: %v", deadline, has)
			}
			return nil
		}
		store.onSwap = store.onGet
		ask(t, newTable(t, store, 1000, deadline), "key", startAt(base, 1))
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
	}
}

func TestCancelledRequest(t *testing.T) {
	store := newShared()
	store.onSwap = func(ctx context.Context) error { return ctx.Err() }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := newTable(t, store, 1000, time.Hour).Apply(ctx, "key", request(base, &policy, []session.Event{startAt(base, 1)}), make([]session.Decision, 1))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestContended(t *testing.T) {
	store := newShared()
	table := newTable(t, store, 1000, 0)
	ask(t, table, "key", startAt(base, 1))
	ask(t, table, "key", trackAt(base, 2))
	store.refuse = true
	err := table.Apply(t.Context(), "key", request(base, &policy, []session.Event{startAt(base, 3)}), make([]session.Decision, 1))
	if !errors.Is(err, ErrContended) {
		t.Error(err)
	}
	if err := table.Release(t.Context(), "key", 2, base); !errors.Is(err, ErrContended) {
		t.Error(err)
	}
	if err := table.Release(t.Context(), "key", 3, base); err != nil {
		t.Errorf("nothing to release: %v", err)
	}
}
