package sessionstate

import (
	"context"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// mode is how a table works with its store. There is one for each kind of store:
//
//   - residentMode: the store is in memory ([Resident]).
//   - ownedMode: only this process changes the store, so that the cache is right
//     and most changes can be written later.
//   - sharedMode: other processes change the store too, and the store tells of it
//     ([Shared]).
//   - uncachedMode: they do, and the store does not tell: each read and each write
//     goes to the store.
//
// An update calls lock, read and write in this order, read and write again while
// write reports a conflict, and then unlock. peek and tryWrite are the short way
// for what needs no store.
type mode interface {
	// waits reports whether an update may have to wait for the store.
	waits() bool

	// peek returns what is cached of a key, nil if it is known to have no session,
	// and whether that is all that the update needs. It may decode the session into
	// the one given.
	peek(key string, o readOptions, into *session.Session) (s *session.Session, known bool)
	// locked reports whether somebody has the key locked.
	locked(key string) bool
	// tryWrite does a write that needs no lock and no store, and reports whether
	// it did: if not, nothing has changed.
	tryWrite(w write) bool

	// lock locks a key until unlock, or until the context ends, whose error it
	// then returns.
	lock(ctx context.Context, key string) (*keyLock, error)
	unlock(key string, lock *keyLock)
	// read returns the session of a locked key, or nil. It may decode the session
	// into the one given.
	read(ctx context.Context, key string, lock *keyLock, o readOptions, into *session.Session) (*session.Session, error)
	// write writes the session of a locked key.
	write(ctx context.Context, w write) (written, error)

	// forget removes a key from memory and store.
	forget(ctx context.Context, key string) error
	// each calls fn for every session, as [Table.Each] does.
	each(ctx context.Context, fn func(key string, s *session.Session) error) error

	configure(s Settings)
	// stats sets the figures of what is in memory.
	stats(s *Stats)
	// len returns how many sessions are in memory.
	len() int
	// close writes what waits to be written. It leaves the store open.
	close() error
}

// write is what an update has made of a session.
type write struct {
	key     string
	lock    *keyLock // nil in tryWrite
	options readOptions
	// old is the session that next was made from; nil for none.
	old, next *session.Session
	// change says how durable next has to be.
	change session.Change
}

// written is what came of a write.
type written struct {
	// conflict: somebody else has changed the session, and nothing was written.
	conflict bool
	// done, if not nil, is closed when the change is in the store, and whoever made
	// the change should wait for that.
	done <-chan struct{}
}

// newMode returns the mode for a store; calls is the same store, or what observes
// its calls.
func newMode(store, calls Store, can *abilities, o *Options) mode {
	if resident, ok := store.(Resident); ok {
		return &residentMode{store: resident, memory: can.counted}
	}
	shared, isShared := store.(Shared)
	if !isShared {
		m := &ownedMode{cachedMode: newCachedMode(calls, can, o), writeFirst: o.WriteFirst}
		m.behind = newWriteBehind(calls, o)
		m.behind.start()
		return m
	}
	m := &sharedMode{cachedMode: newCachedMode(calls, can, o)}
	m.behind = newWriteBehind(calls, o)
	m.behind.shared, m.behind.invalidate = true, m.invalidate
	// From here on the store may call both functions.
	if !shared.Watch(m.invalidate, m.invalidateAll) {
		u := &uncachedMode{store: calls, can: can}
		u.locks.init()
		return u
	}
	m.behind.start()
	return m
}

// swap writes one session, and reports whether it did.
func swap(ctx context.Context, store Store, key string, old session.Version, next *session.Session) (bool, error) {
	change := [1]Swap{{Key: key, Old: old, Next: next}}
	store.CompareAndSwap(ctx, change[:])
	return change[0].Done, change[0].Err
}

func versionOf(s *session.Session) session.Version {
	if s == nil {
		return 0
	}
	return s.Version
}
