package replay

import (
	"context"
	"slices"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// sessions is the store of a replay: it keeps every session, in bounded memory and a
// temporary file, and nothing of what a table knows of one gets lost when it makes
// room for another. So decisions do not depend on how much memory there is.
type sessions struct{ states *states }

// Load implements [sessionstate.Resident].
func (s *sessions) Load(key string, into *session.Session) (loaded *session.Session) {
	s.states.with(key, false, func(of *state) {
		if of.form != nil && session.DecodeInto(of.form, into) == nil {
			loaded = into
		}
	})
	return loaded
}

// Get implements [sessionstate.Store].
func (s *sessions) Get(_ context.Context, key string) (*session.Session, error) {
	return s.Load(key, new(session.Session)), nil
}

// CompareAndSwap implements [sessionstate.Store].
func (s *sessions) CompareAndSwap(_ context.Context, changes []sessionstate.Swap) {
	for i := range changes {
		c := &changes[i]
		s.states.with(c.Key, true, func(of *state) {
			var version session.Version
			if of.form != nil {
				version, _ = session.VersionOf(of.form)
			}
			if c.Done = version == c.Old; c.Done {
				// Not into the form that there is: what was decoded refers to it.
				var buffer [512]byte
				of.form = slices.Clone(session.Append(buffer[:0], c.Next))
			}
		})
	}
}

// Delete implements [sessionstate.Store]. A replay deletes nothing.
func (s *sessions) Delete(context.Context, string) error { return nil }

// Scan implements [sessionstate.Store].
func (s *sessions) Scan(_ context.Context, fn func(string, *session.Session) error) (err error) {
	s.states.each(func(key string, of *state) {
		if stored, decoding := session.Decode(of.form); err == nil && decoding == nil {
			err = fn(key, stored)
		}
	})
	return err
}

// Resize implements [sessionstate.Resident]. The size is that of the states.
func (s *sessions) Resize(int) {}

// Len implements [sessionstate.Resident].
func (s *sessions) Len() int { return s.states.len() }

// Close implements [sessionstate.Store]. The file is the replay's to close.
func (s *sessions) Close() error { return nil }

// Interface guard
var _ sessionstate.Resident = (*sessions)(nil)
