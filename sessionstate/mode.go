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
//   - sharedMode: other processes change the store too, and the store reports their
//     changes ([Shared]).
//   - uncachedMode: other processes change the store, and it does not report their
//     changes, so that each read and each write goes to the store.
//
// An update calls lock, read and write in this order, repeats read and write while
// write reports a conflict, and then calls unlock. peek and tryWrite are the short
// cut for updates that do not need the store.
type mode interface {
	// waits reports whether an update may have to wait for the store.
	waits() bool

	// peek returns the cached session of a key, nil if the key is known to have none.
	// known is false if the update has to read the store. peek may decode the session
	// into the one given.
	peek(key string, o readOptions, into *session.Session) (s *session.Session, known bool)
	// locked reports whether somebody has the key locked.
	locked(key string) bool
	// tryWrite does a write that needs neither a lock nor the store. If it returns
	// false, nothing has changed.
	tryWrite(w write) bool

	// lock locks a key until unlock is called. If the context ends before the key
	// could be locked, it returns the context's error.
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
	// stats sets the figures of the sessions in memory.
	stats(s *Stats)
	// len returns how many sessions are in memory.
	len() int
	// close writes the pending changes. It leaves the store open.
	close() error
}

// write is the change of one session that an update asks for.
type write struct {
	key     string
	lock    *keyLock // nil in tryWrite
	options readOptions
	// old is the session that next replaces; nil for none.
	old, next *session.Session
	// change is how durable next has to be.
	change session.Change
}

// written is the result of a write.
type written struct {
	// conflict: somebody else has changed the session, and nothing was written.
	conflict bool
	// done, if not nil, is closed when the change is in the store: the caller should
	// wait for it.
	done <-chan struct{}
}

// newMode returns the mode for a store; calls is the same store, or a wrapper that
// observes its calls.
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
	// The store may call both functions as soon as Watch is called.
	if !shared.Watch(m.invalidate, m.invalidateAll) {
		u := &uncachedMode{store: calls, can: can}
		u.locks.init()
		return u
	}
	m.behind.start()
	return m
}

// swap writes one session, and reports whether it was written.
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
