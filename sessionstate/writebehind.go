package sessionstate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// writeBehind holds changes that are written to the store a little later, many
// at once. Of a session that changes often only the newest state is written.
type writeBehind struct {
	store Store
	// shared: others change the store too. Where they came first, what waits is
	// given up, and lost is called.
	shared bool
	lost   func(key string)
	// report is told what each write came to.
	report func(error)

	mu       sync.Mutex
	entries  map[string]*delayed
	interval time.Duration
	wake     chan struct{}
	changed  chan struct{} // the interval is another
	stop     chan struct{}
	stopped  chan struct{}
}

// delayed is the state of one key that is not yet in the store.
type delayed struct {
	// old is the version that the store has.
	old  Version
	next *Session
	// flight is closed when the write that is under way has ended; nil if none is.
	flight chan struct{}
	// held: somebody else is about to write the key.
	held bool
	// due is when it is to be written.
	due time.Time
}

const (
	// maxDelayed bounds the memory that a store which does not take writes can
	// occupy: tens of megabytes.
	maxDelayed = 1 << 16
	// writeChunk is how many changes are written at once, writeDeadline how long
	// that may take.
	writeChunk    = 1000
	writeDeadline = 5 * time.Second
	// slowestRetry is how long to wait, at most, for a store that fails.
	slowestRetry = time.Second
)

// never is a due time that any other is before.
var never = time.Unix(1<<60, 0)

var errTooManyDelayed = errors.New("the store does not take writes: too many wait for it")

// prepare makes what put and its like need; start begins to write.
func (b *writeBehind) prepare() {
	b.entries = map[string]*delayed{}
	b.wake, b.changed = make(chan struct{}, 1), make(chan struct{}, 1)
	b.stop, b.stopped = make(chan struct{}), make(chan struct{})
}

func (b *writeBehind) start() { go b.run() }

// get returns the state of a key that is yet to be written, or nil.
func (b *writeBehind) get(key string) *Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		return e.next
	}
	return nil
}

// put has next written later, in the place of the session of version old: some
// time after it is due, that is after so long, or what waits already.
func (b *writeBehind) put(key string, old Version, next *Session, after time.Duration) error {
	due := time.Now().Add(after)
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		e.next = next
		if due.Before(e.due) {
			e.due = due
		}
		return nil
	}
	if len(b.entries) >= maxDelayed {
		return errTooManyDelayed
	}
	b.entries[strings.Clone(key)] = &delayed{old: old, next: next, due: due}
	if len(b.entries) == 1 {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// hold waits until the key is not being written, and keeps it from being until
// settle is called. It returns the version that the store has of it: known, if
// nothing is to be written of it.
func (b *writeBehind) hold(ctx context.Context, key string, known Version) (old Version, err error) {
	for {
		b.mu.Lock()
		e := b.entries[key]
		if e == nil || e.flight == nil {
			if e != nil {
				e.held = true
				known = e.old
			}
			b.mu.Unlock()
			return known, nil
		}
		flight := e.flight
		b.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// settle ends hold. If the key was written meanwhile, or others have, what was
// to be written of it is not any more.
func (b *writeBehind) settle(key string, written bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		e.held = false
		if written {
			delete(b.entries, key)
		}
	}
}

// drop forgets a change that is not under way.
func (b *writeBehind) drop(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil && e.flight == nil {
		delete(b.entries, key)
	}
}

// over ends hold: it returns what waits to be written over s, what the store
// has, or s itself if nothing does, or others came first.
func (b *writeBehind) over(key string, s *Session, err error) *Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[key]
	if e == nil {
		return s
	}
	e.held = false
	if err == nil && versionOf(s) == e.old {
		return e.next
	}
	if err == nil {
		delete(b.entries, key)
	}
	return s
}

// full reports whether nothing could be put for a key.
func (b *writeBehind) full(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[key] == nil && len(b.entries) >= maxDelayed
}

func (b *writeBehind) setInterval(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.interval = d
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// run writes what there is to write, an interval after it came.
func (b *writeBehind) run() {
	defer close(b.stopped)
	failures := 0
	for {
		select {
		case <-b.wake:
		case <-b.stop:
			return
		}
		for waiting := true; waiting; {
			b.mu.Lock()
			pause := b.interval
			b.mu.Unlock()
			for range failures {
				pause = max(min(pause*2, slowestRetry), pause)
			}
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-b.changed:
				timer.Stop()
				continue
			case <-b.stop:
				timer.Stop()
				return
			}
			var err error
			if waiting, err = b.flush(time.Now()); err != nil {
				failures = min(failures+1, 10)
			} else {
				failures = 0
			}
		}
	}
}

// flush writes all that is due at a moment, and reports whether more waits.
func (b *writeBehind) flush(moment time.Time) (more bool, err error) {
	wrote := false
	for keys := b.due(moment); len(keys) > 0; {
		chunk := keys[:min(len(keys), writeChunk)]
		keys = keys[len(chunk):]
		changes, flight := b.take(chunk)
		ctx, cancel := context.WithTimeout(context.Background(), writeDeadline)
		b.store.CompareAndSwap(ctx, changes)
		for i := range changes {
			if e := b.land(ctx, &changes[i]); e != nil {
				err = e
			}
		}
		cancel()
		close(flight)
		wrote = true
	}
	if wrote && b.report != nil {
		b.report(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries) > 0, err
}

// due returns the keys that are to be written, in the order in which a tree
// likes them best.
func (b *writeBehind) due(moment time.Time) (keys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, e := range b.entries {
		if !e.due.After(moment) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// take lets changes take off that nobody holds.
func (b *writeBehind) take(keys []string) (changes []Swap, flight chan struct{}) {
	flight = make(chan struct{})
	changes = make([]Swap, 0, len(keys))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		if e := b.entries[key]; e != nil && !e.held {
			e.flight = flight
			e.due = never // put says when what comes after it is due
			changes = append(changes, Swap{Key: key, Old: e.old, Next: e.next})
		}
	}
	return changes, flight
}

// land notes what came of a change.
func (b *writeBehind) land(ctx context.Context, c *Swap) error {
	old, err := c.Next.Version, c.Err
	conflict := !c.Done && err == nil
	if conflict && !b.shared {
		old, err = b.stored(ctx, c.Key)
		if err == nil && old == c.Next.Version {
			c.Done = true
		}
	}
	b.mu.Lock()
	e := b.entries[c.Key]
	e.flight = nil
	if err == nil {
		e.old = old
	}
	if !c.Done {
		e.due = time.Now()
	}
	if c.Done && e.next == c.Next || conflict && b.shared {
		delete(b.entries, c.Key)
	}
	b.mu.Unlock()
	if conflict && b.shared {
		b.lost(c.Key)
	}
	return err
}

// rebase ends hold after another change came first: in a store of the table's
// own it was the store that forgot what was there, and what waits holds.
func (b *writeBehind) rebase(ctx context.Context, key string) error {
	old, err := b.stored(ctx, key)
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		e.held = false
		switch {
		case err != nil:
		case old == e.next.Version:
			delete(b.entries, key)
		default:
			e.old = old
		}
	}
	return err
}

// stored returns which version of a session the store has.
func (b *writeBehind) stored(ctx context.Context, key string) (Version, error) {
	s, err := b.store.Get(ctx, key)
	return versionOf(s), err
}

// close writes what waits, and returns an error if that could not be done, not
// in a second try either.
func (b *writeBehind) close() error {
	close(b.stop)
	<-b.stopped
	failed := false
	for {
		more, err := b.flush(time.Now().Add(maxPatience))
		if !more || err != nil && failed {
			return err
		}
		failed = err != nil
	}
}
