package enrich

import (
	"context"
	"errors"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// A control request that breaks a rule is answered with one of these, or with
// what is wrong with its sessionId: the caller can mend them.
var (
	ErrBody = errors.New("the body must be one JSON object")
	ErrNoID = errors.New("anonymousId or userId is required")
	// ErrLimited: the user's calls have begun as many sessions as they may.
	ErrLimited = errors.New("too many sessions are started")
)

// StoreError says that a control call could not be carried out, and changed
// nothing: the session could not be read or written.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return "session state: " + e.Err.Error() }
func (e *StoreError) Unwrap() error { return e.Err }

// Control carries out the control call that was sent to a control endpoint and
// returns the session id to answer, 0 for null. Errors are a *StoreError or
// safe to be told to the caller.
func Control(ctx context.Context, table *sessionstate.Table, r *Request, body []byte) (id int64, o Outcome, err error) {
	w := works.Get().(*work)
	defer w.free()
	if !w.parse(r, body) {
		return 0, o, ErrBody
	}
	if w.extract(r, 0) != Asked {
		return 0, o, ErrNoID
	}
	s := &w.subjects[0]
	if s.invalidID != nil {
		return 0, o, s.invalidID
	}
	key := string(s.key.of(w.keys))
	events, decisions := []sessionstate.Event{s.event}, make([]sessionstate.Decision, 1)
	taken := r.limit(table, key, events)
	err = table.Apply(ctx, key, r.Received, r.Policy, events, decisions)
	r.settle(table, key, taken, decisions, err != nil)
	if err != nil {
		o.fail(err, []sessionstate.Event{s.event})
		return 0, o, &StoreError{err}
	}
	s.decision = decisions[0]
	o.count(s)
	w.noRoom = false
	w.observe(r)
	if s.decision.Because.Reason == sessionstate.Limited {
		return 0, o, ErrLimited
	}
	return s.decision.SessionID, o, nil
}
