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
	// shared: others change the store too. Where they came first, the waiting
	// change is dropped, and invalidate is called.
	shared     bool
	invalidate func(key string)
	// report, if not nil, is called with the result of each write.
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
	// inFlight is closed when the write that is under way has ended; nil if none
	// is.
	inFlight chan struct{}
	// pinned: somebody else is about to write the key.
	pinned bool
	// due is when it is to be written.
	due time.Time

	source string
	urgent bool // it is in writeBehind.urgent
	// written is closed when next was written or could not be; nil if nobody waits
	// for it. flushed is the same for what is in flight.
	written, flushed chan struct{}
}

// origin says whose a change is, and how much it matters.
type origin struct {
	source string
	class  class
	// urgent: it is to be written at once, and its caller waits for that.
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

// never is a due time after all others.
var never = time.Unix(1<<60, 0)

var errTooManyDelayed = errors.New("the store does not take writes: too many wait for it")

// newWriteBehind makes one that writes nothing before start is called.
func newWriteBehind(store Store, o *Options) *writeBehind {
	return &writeBehind{
		store: store, report: o.Report, interval: o.FlushInterval, chunk: writeChunk,
		entries: map[string]*delayed{}, used: map[string]int{},
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
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

// put has next written later, in place of the session of version old. It replaces
// what already waits for the key. It is written in the first flush that begins
// after the given time; an urgent change at once, and put then returns what is
// closed when it is written. While the store fails that is nil, for nobody should
// wait for a failing store.
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

// remove removes an entry, which is written or no longer to be written.
func (b *writeBehind) remove(key string, e *delayed) {
	delete(b.entries, key)
	if b.used[e.source]--; b.used[e.source] == 0 {
		delete(b.used, e.source)
	}
	e.release()
}

// release wakes those who wait for next to be written.
func (e *delayed) release() {
	if e.written != nil {
		close(e.written)
		e.written = nil
	}
}

// drop drops the change that waits for a key, unless it is in flight.
func (b *writeBehind) drop(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil && e.inFlight == nil {
		b.remove(key, e)
	}
}

// isFull reports whether put would refuse a change of the key, even one that undoes
// a control call.
func (b *writeBehind) isFull(key, source string) bool {
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

// run writes changes in the first flush after they are due, and urgent ones at once.
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

// pause waits for the interval, longer after failures, and writes urgent changes
// during it. It returns false when the write-behind is stopped.
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
		more, err := b.flush(time.Now().Add(maxWaitBudget))
		if !more || err != nil && failed {
			return err
		}
		failed = err != nil
	}
}

// waiting returns the sessions that wait to be written, by key.
func (b *writeBehind) waiting() map[string]*session.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]*session.Session, len(b.entries))
	for key, e := range b.entries {
		all[key] = e.next
	}
	return all
}

func (b *writeBehind) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}
