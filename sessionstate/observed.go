package sessionstate

import (
	"context"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Observer is told of each call of a store that is not resident: which one
// (get, compare_and_swap, delete or scan), what came of it (ok, conflict or
// error), and how long it took.
type Observer func(operation, result string, took time.Duration)

// observed is a store whose calls are told to somebody.
type observed struct {
	Store
	tell Observer
}

func (o *observed) Get(ctx context.Context, key string) (*session.Session, error) {
	start := time.Now()
	s, err := o.Store.Get(ctx, key)
	o.tell("get", result(err), time.Since(start))
	return s, err
}

func (o *observed) CompareAndSwap(ctx context.Context, changes []Swap) {
	start := time.Now()
	o.Store.CompareAndSwap(ctx, changes)
	came := "ok"
	for i := range changes {
		switch c := &changes[i]; {
		case c.Err != nil:
			came = result(c.Err)
		case !c.Done && came == "ok":
			came = "conflict"
		}
	}
	o.tell("compare_and_swap", came, time.Since(start))
}

func (o *observed) Delete(ctx context.Context, key string) error {
	start := time.Now()
	err := o.Store.Delete(ctx, key)
	o.tell("delete", result(err), time.Since(start))
	return err
}

func (o *observed) Scan(ctx context.Context, fn func(string, *session.Session) error) error {
	start := time.Now()
	var own error
	err := o.Store.Scan(ctx, func(key string, s *session.Session) error {
		own = fn(key, s)
		return own
	})
	// What the caller made of a session is no failure of the store.
	if own != nil {
		o.tell("scan", "ok", time.Since(start))
	} else {
		o.tell("scan", result(err), time.Since(start))
	}
	return err
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
