package replay

import (
	"context"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// sessions is the store of a replay: it keeps every session, in bounded memory and a
// temporary file, and nothing of what a table knows of one gets lost when it makes
// room for another. So decisions do not depend on how much memory there is.
type sessions struct{ spill *spill[[]byte] }

func newSessions(file *spillFile, prefix byte, size int) *sessions {
	as := func(form []byte) []byte { return form }
	return &sessions{newSpill(file, prefix, size, as, as)}
}

// Load implements [sessionstate.Resident].
func (s *sessions) Load(key string, into *session.Session) *session.Session {
	l := s.spill.lane(key)
	l.mu.Lock()
	form, found := s.spill.get(l, key)
	l.mu.Unlock()
	if !found || session.DecodeInto(form, into) != nil {
		return nil
	}
	return into
}

// Get implements [sessionstate.Store].
func (s *sessions) Get(_ context.Context, key string) (*session.Session, error) {
	return s.Load(key, new(session.Session)), nil
}

// CompareAndSwap implements [sessionstate.Store].
func (s *sessions) CompareAndSwap(_ context.Context, changes []sessionstate.Swap) {
	for i := range changes {
		c := &changes[i]
		c.Done = s.swap(c.Key, c.Old, c.Next)
	}
}

func (s *sessions) swap(key string, old session.Version, next *session.Session) bool {
	form := session.Append(make([]byte, 0, 128), next)
	l := s.spill.lane(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	before, found := s.spill.get(l, key)
	var version session.Version
	if found {
		version, _ = session.VersionOf(before)
	}
	if version != old {
		return false
	}
	s.spill.put(l, key, form)
	return true
}

// Delete implements [sessionstate.Store]. A replay deletes nothing.
func (s *sessions) Delete(context.Context, string) error { return nil }

// Scan implements [sessionstate.Store].
func (s *sessions) Scan(_ context.Context, fn func(string, *session.Session) error) (err error) {
	s.spill.each(func(key string, form []byte) {
		if stored, decoding := session.Decode(form); err == nil && decoding == nil {
			err = fn(key, stored)
		}
	})
	return err
}

// Resize implements [sessionstate.Resident]. The size is that of newSessions.
func (s *sessions) Resize(int) {}

// Len implements [sessionstate.Resident].
func (s *sessions) Len() (n int) {
	for i := range s.spill.lanes {
		n += s.spill.lanes[i].recent.Len()
	}
	return n
}

// Close implements [sessionstate.Store]. The file is the replay's to close.
func (s *sessions) Close() error { return nil }

// Interface guard
var _ sessionstate.Resident = (*sessions)(nil)
