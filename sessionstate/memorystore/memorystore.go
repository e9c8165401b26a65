// Package memorystore keeps sessions in the memory of the process: as many as
// its capacity, the least recently used ones making room, and none of them
// longer than the process lives.
package memorystore

import (
	"context"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Store is a [sessionstate.Store] in memory.
type Store struct {
	*sessionstate.Cache
}

// New makes a store of one session; the table that it is given to resizes it.
func New() *Store { return &Store{sessionstate.NewCache(1)} }

// Get never fails.
func (s *Store) Get(_ context.Context, key string) (*session.Session, error) {
	return s.Cache.Get(key), nil
}

// CompareAndSwap never fails. It is as durable as the process.
func (s *Store) CompareAndSwap(_ context.Context, changes []sessionstate.Swap) {
	for i := range changes {
		c := &changes[i]
		c.Done = s.Swap(c.Key, c.Old, c.Next)
	}
}

// Delete never fails.
func (s *Store) Delete(_ context.Context, key string) error {
	s.Remove(key)
	return nil
}

// Scan visits the sessions of a moment shard by shard.
func (s *Store) Scan(ctx context.Context, fn func(string, *session.Session) error) error {
	return s.Each(func(key string, stored *session.Session) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fn(key, stored)
	})
}

// Close forgets everything.
func (s *Store) Close() error { return nil }

// Interface guard
var _ sessionstate.Resident = (*Store)(nil)
