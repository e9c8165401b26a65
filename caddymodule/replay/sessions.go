package replay

import (
	"context"
	"slices"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// sessions is the store of a replay. It never forgets a session: those that do not fit
// in memory are in a temporary file, complete with the changes that other stores only
// keep in a cache. So decisions do not depend on how much memory there is.
type sessions struct{ states *states }

// Load implements [sessionstate.Resident].
func (s *sessions) Load(key string, into *session.Session) (loaded *session.Session) {
	s.states.with(key, false, func(of *state) {
		if of.encoded != nil && session.DecodeInto(of.encoded, into) == nil {
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
			if of.encoded != nil {
				version, _ = session.VersionOf(of.encoded)
			}
			if c.Done = version == c.Old; c.Done {
				// Into new memory: decoded sessions may still refer to the old.
				var buffer [512]byte
				of.encoded = slices.Clone(session.Append(buffer[:0], c.Next))
			}
		})
	}
}

// Delete implements [sessionstate.Store]. A replay deletes nothing.
func (s *sessions) Delete(context.Context, string) error { return nil }

// Scan implements [sessionstate.Store].
func (s *sessions) Scan(_ context.Context, fn func(string, *session.Session) error) (err error) {
	s.states.each(func(key string, of *state) {
		if stored, decoding := session.Decode(of.encoded); err == nil && decoding == nil {
			err = fn(key, stored)
		}
	})
	return err
}

// Resize implements [sessionstate.Resident]. The size of the states is fixed.
func (s *sessions) Resize(int) {}

// Len implements [sessionstate.Resident].
func (s *sessions) Len() int { return s.states.len() }

// Close implements [sessionstate.Store]. The replay closes the file.
func (s *sessions) Close() error { return nil }

// Interface guard
var _ sessionstate.Resident = (*sessions)(nil)
