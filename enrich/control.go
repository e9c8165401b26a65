package enrich

import (
	"context"
	"errors"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Errors of control requests, besides those about the sessionId. The caller is told
// them, and can correct the request.
var (
	ErrBody = errors.New("the body must be one JSON object")
	ErrNoID = errors.New("anonymousId or userId is required")
	// ErrLimited: the user's calls have begun Request.MaxStarts sessions in a minute.
	ErrLimited = errors.New("too many sessions are started")
)

// StoreError says that the session could not be read or written. A control call
// was not carried out, and changed nothing.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return "session state: " + e.Err.Error() }
func (e *StoreError) Unwrap() error { return e.Err }

// Current returns the id of the session that is current at r.Received for an
// anonymousId or, if that is empty, for a userId; 0 for none. With r.Follow, the
// session of a userId is the one that an event of the user would get. Errors are
// ErrNoID or a *StoreError.
func Current(ctx context.Context, table *sessionstate.Table, r *Request, anonymousID, userID string) (int64, error) {
	key := r.Key(anonymousID, userID)
	if key == "" {
		return 0, ErrNoID
	}
	s, err := table.Session(ctx, key)
	if err != nil {
		return 0, &StoreError{err}
	}
	id, err := ParseKey(key)
	if err != nil {
		return 0, err
	}
	if !id.User || !r.Follow {
		return session.Current(s, r.Received, r.Policy), nil
	}
	events := [1]session.Event{{Role: session.Follower, JoinOnly: true, Server: true}}
	var decisions [1]session.Decision
	session.Transition(s, &session.Request{Received: r.Received, Policy: r.Policy, Events: events[:]}, decisions[:])
	if decisions[0].Action == session.Clear {
		f := follower{r: r, table: table, fresh: true, user: id.Link()}
		if err := f.decide(ctx, key, &events[0], &decisions[0]); err != nil {
			return 0, &StoreError{err}
		}
	}
	return decisions[0].SessionID, nil
}

// Control carries out a call at a control endpoint, and returns the session id to
// answer, 0 for null. An error is a *StoreError, or one that the caller may be
// told.
func Control(ctx context.Context, table *sessionstate.Table, r *Request, body []byte) (id int64, o Outcome, err error) {
	return Parse(r, body).Control(ctx, table)
}

func (w *work) control(ctx context.Context, table *sessionstate.Table, r *Request) (id int64, o Outcome, err error) {
	s := &w.subjects[0]
	if s.invalidID != nil {
		return 0, o, s.invalidID
	}
	w.decide(ctx, table, r, &o)
	if o.ControlFailed {
		return 0, Outcome{StoreErrors: o.StoreErrors, Err: o.Err, ControlFailed: true}, &StoreError{o.Err}
	}
	w.noRoom = false
	w.observe(r)
	if s.decision.Because.Reason == session.Limited {
		return 0, o, ErrLimited
	}
	return s.decision.SessionID, o, nil
}
