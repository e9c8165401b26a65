package sessionstate

import (
	"context"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Observer is called after each call of a store that is not resident, with the
// operation (get, compare_and_swap, delete or scan), the result (ok, conflict or
// error) and the duration.
type Observer func(operation, result string, took time.Duration)

// observed is a store whose calls are reported to an Observer.
type observed struct {
	Store
	observe Observer
}

func (o *observed) Get(ctx context.Context, key string) (*session.Session, error) {
	start := time.Now()
	s, err := o.Store.Get(ctx, key)
	o.observe("get", result(err), time.Since(start))
	return s, err
}

func (o *observed) CompareAndSwap(ctx context.Context, changes []Swap) {
	start := time.Now()
	o.Store.CompareAndSwap(ctx, changes)
	outcome := "ok"
	for i := range changes {
		switch c := &changes[i]; {
		case c.Err != nil:
			outcome = result(c.Err)
		case !c.Done && outcome == "ok":
			outcome = "conflict"
		}
	}
	o.observe("compare_and_swap", outcome, time.Since(start))
}

func (o *observed) Delete(ctx context.Context, key string) error {
	start := time.Now()
	err := o.Store.Delete(ctx, key)
	o.observe("delete", result(err), time.Since(start))
	return err
}

func (o *observed) Scan(ctx context.Context, fn func(string, *session.Session) error) error {
	start := time.Now()
	var callbackErr error
	err := o.Store.Scan(ctx, func(key string, s *session.Session) error {
		callbackErr = fn(key, s)
		return callbackErr
	})
	// An error of the callback is not a failure of the store.
	if callbackErr != nil {
		o.observe("scan", "ok", time.Since(start))
	} else {
		o.observe("scan", result(err), time.Since(start))
	}
	return err
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
