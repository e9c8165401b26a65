package sessionstate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
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

	mu      sync.Mutex
	entries map[string]*delayed
	// used is how many entries there are of each source.
	used    map[string]int
	urgent  urgentKeys
	failing bool // the last write did
	// chunk is how many changes are written at once: fewer where the store is slow,
	// for a control call may have to wait for them. Only the writing goroutine and,
	// after it has ended, close use it.
	chunk    int
	interval time.Duration
	wake     chan struct{}
	hurry    chan struct{} // urgent is not empty
	changed  chan struct{} // the interval is another
	stop     chan struct{}
	stopped  chan struct{}
}

// delayed is the state of one key that is not yet in the store.
type delayed struct {
	// old is the version that the store has.
	old  session.Version
	next *session.Session
	// flight is closed when the write that is under way has ended; nil if none is.
	flight chan struct{}
	// held: somebody else is about to write the key.
	held bool
	// due is when it is to be written.
	due time.Time

	source string
	urgent bool // it is in writeBehind.urgent
	// written is closed when next, and taken when what is in flight, was written
	// or could not be; nil if nobody waits for it.
	written, taken chan struct{}
}

// origin says of a change whose it is, and how much it matters.
type origin struct {
	source string
	class  class
	// urgent: it is to be written now, and whoever made it waits for that.
	urgent bool
}

const (
	// maxDelayed bounds the memory that a store which does not take writes can
	// occupy: tens of megabytes.
	maxDelayed = 1 << 16
	// writeChunk is how many changes are written at once, writeDeadline how long
	// that may take.
	writeChunk    = 1000
	writeDeadline = 5 * time.Second
	// A write that takes longer than slowWrite makes the next one smaller, down to
	// leastChunk; one that takes less than quickWrite makes it larger.
	slowWrite  = 100 * time.Millisecond
	quickWrite = slowWrite / 4
	leastChunk = 50
	// slowestRetry is how long to wait, at most, for a store that fails.
	slowestRetry = time.Second
)

// never is a due time that any other is before.
var never = time.Unix(1<<60, 0)

var errTooManyDelayed = errors.New("the store does not take writes: too many wait for it")

// prepare makes what put and its like need; start begins to write.
func (b *writeBehind) prepare() {
	b.entries, b.used = map[string]*delayed{}, map[string]int{}
	b.hurry, b.chunk = make(chan struct{}, 1), writeChunk
	b.wake, b.changed = make(chan struct{}, 1), make(chan struct{}, 1)
	b.stop, b.stopped = make(chan struct{}), make(chan struct{})
}

func (b *writeBehind) start() { go b.run() }

// get returns the state of a key that is yet to be written, or nil.
func (b *writeBehind) get(key string) *session.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		return e.next
	}
	return nil
}

// put has next written later, in the place of the session of version old: some
// time after it is due, that is after so long, or what waits already. Of an
// urgent change it returns what is closed when it is written; nil while the store
// fails, for nobody is to wait for that.
func (b *writeBehind) put(key string, old session.Version, next *session.Session, after time.Duration, of origin) (written <-chan struct{}, err error) {
	due := time.Now().Add(after)
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[key]
	switch {
	case e != nil:
		e.next = next
		if due.Before(e.due) {
			e.due = due
		}
	case !hasRoom(of.class, b.used[of.source], len(b.entries)):
		return nil, errTooManyDelayed
	default:
		key = strings.Clone(key)
		e = &delayed{old: old, next: next, due: due, source: strings.Clone(of.source)}
		b.entries[key] = e
		b.used[e.source]++
		if len(b.entries) == 1 {
			signal(b.wake)
		}
	}
	if !of.urgent || b.failing {
		return nil, nil
	}
	if e.written == nil {
		e.written = make(chan struct{})
	}
	if !e.urgent {
		e.urgent = true
		b.urgent.add(e.source, key)
		signal(b.hurry)
	}
	return e.written, nil
}

func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// remove forgets an entry: it is written, or is not to be.
func (b *writeBehind) remove(key string, e *delayed) {
	delete(b.entries, key)
	if b.used[e.source]--; b.used[e.source] == 0 {
		delete(b.used, e.source)
	}
	e.release()
}

// release tells those who wait for what was to be written.
func (e *delayed) release() {
	if e.written != nil {
		close(e.written)
		e.written = nil
	}
}

// hold waits until the key is not being written, and keeps it from being until
// settle is called. It returns the version that the store has of it: known, if
// nothing is to be written of it.
func (b *writeBehind) hold(ctx context.Context, key string, known session.Version) (old session.Version, err error) {
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
			b.remove(key, e)
		}
	}
}

// drop forgets a change that is not under way.
func (b *writeBehind) drop(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil && e.flight == nil {
		b.remove(key, e)
	}
}

// over ends hold: it returns what waits to be written over s, what the store
// has, or s itself if nothing does, or others came first.
func (b *writeBehind) over(key string, s *session.Session, err error) *session.Session {
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
		b.remove(key, e)
	}
	return s
}

// full reports whether nothing could be put for a key, not even to undo a
// control call.
func (b *writeBehind) full(key, source string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[key] == nil && !hasRoom(ofControl, b.used[source], len(b.entries))
}

func (b *writeBehind) setInterval(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.interval = d
	signal(b.changed)
}

// run writes what there is to write, an interval after it came or, where that is
// urgent, at once.
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
			if !b.pause(failures) {
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

// pause waits for as long as changes may wait, longer after failures, and writes
// what is urgent meanwhile. It reports false if it is to be stopped.
func (b *writeBehind) pause(failures int) bool {
	for {
		b.mu.Lock()
		pause := b.interval
		b.mu.Unlock()
		for range failures {
			pause = max(min(pause*2, slowestRetry), pause)
		}
		timer := time.NewTimer(pause)
		for again := false; !again; {
			select {
			case <-timer.C:
				return true
			case <-b.hurry:
				b.flushUrgent()
			case <-b.changed:
				again = true
			case <-b.stop:
				timer.Stop()
				return false
			}
		}
		timer.Stop()
	}
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
			b.remove(key, e)
		default:
			e.old = old
		}
	}
	return err
}

// stored returns which version of a session the store has.
func (b *writeBehind) stored(ctx context.Context, key string) (session.Version, error) {
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
