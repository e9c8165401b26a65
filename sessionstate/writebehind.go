package sessionstate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// writeBehind is a queue of changes that are written to the store a little later, many
// at a time. If a session changes again before it is written, only its newest state is
// written.
type writeBehind struct {
	store Store
	// shared: other processes change the store too. On a conflict with one of them,
	// the pending change is dropped, and invalidate is called.
	shared     bool
	invalidate func(key string)
	// report, if not nil, is called with the result of each write.
	report func(error)

	mu      sync.Mutex
	entries map[string]*delayed
	// countBySource is the number of entries of each source.
	countBySource map[string]int
	urgent        urgentKeys
	failing       bool // the last write failed
	// chunk is how many changes are written at once: fewer if the store is slow,
	// because a control call may have to wait for them. Only the writing goroutine
	// uses it and, after that has ended, close.
	chunk    int
	interval time.Duration
	wake     chan struct{} // entries is not empty any more
	hurry    chan struct{} // urgent is not empty
	changed  chan struct{} // interval has changed
	stop     chan struct{}
	stopped  chan struct{}
}

// delayed is the pending change of one key.
type delayed struct {
	// old is the version in the store.
	old  session.Version
	next *session.Session
	// inFlight is nil while the key is not being written. Otherwise it is closed at
	// the end of the write.
	inFlight chan struct{}
	// pinned: see pin.
	pinned bool
	// due is the time from which the change is to be written.
	due time.Time

	source string
	urgent bool // the key is in writeBehind.urgent
	// written is closed when next was written or could not be; nil if nobody waits
	// for it. flushed is the same for the session in flight.
	written, flushed chan struct{}
}

// origin is the source of a change and how important it is.
type origin struct {
	source string
	class  class
	// urgent: the change is to be written at once, and its caller waits for that.
	urgent bool
}

// maxDelayed limits the memory of the queue while the store accepts no writes: to tens
// of megabytes. Tests change it.
var maxDelayed = 1 << 16

const (
	// writeChunk is how many changes are written at once at most, writeDeadline how
	// long that may take.
	writeChunk    = 1000
	writeDeadline = 5 * time.Second
	// A write that takes longer than slowWrite makes the next one smaller, down to
	// minChunk; one that takes less than quickWrite makes it larger.
	slowWrite  = 100 * time.Millisecond
	quickWrite = slowWrite / 4
	minChunk   = 50
	// maxRetryPause limits the pause before the next attempt while the store fails.
	maxRetryPause = time.Second
)

// never is a due time after all others.
var never = time.Unix(1<<60, 0)

var errTooManyDelayed = errors.New("the store does not take writes: too many wait for it")

// newWriteBehind makes a queue that writes nothing before start is called.
func newWriteBehind(store Store, o *Options) *writeBehind {
	return &writeBehind{
		store: store, report: o.Report, interval: o.FlushInterval, chunk: writeChunk,
		entries: map[string]*delayed{}, countBySource: map[string]int{},
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

func (b *writeBehind) start() { go b.run() }

// get returns the pending session of a key, or nil.
func (b *writeBehind) get(key string) *session.Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		return e.next
	}
	return nil
}

// put queues next, which replaces the session of version old in the store, and a
// pending change of the key. It is written in the first flush that begins at least
// delay from now. An urgent change is written at once, and put returns a channel that
// is closed when it is written; the channel is nil while the store fails, because
// nobody should wait for a failing store.
func (b *writeBehind) put(key string, old session.Version, next *session.Session, delay time.Duration, of origin) (written <-chan struct{}, err error) {
	due := time.Now().Add(delay)
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[key]
	switch {
	case e != nil:
		e.next = next
		if due.Before(e.due) {
			e.due = due
		}
	case !hasRoom(of.class, b.countBySource[of.source], len(b.entries)):
		return nil, errTooManyDelayed
	default:
		key = strings.Clone(key)
		e = &delayed{old: old, next: next, due: due, source: strings.Clone(of.source)}
		b.entries[key] = e
		b.countBySource[e.source]++
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

// remove removes an entry that has been written, or is not to be written any more.
func (b *writeBehind) remove(key string, e *delayed) {
	delete(b.entries, key)
	if b.countBySource[e.source]--; b.countBySource[e.source] == 0 {
		delete(b.countBySource, e.source)
	}
	e.release()
}

// release wakes the callers that wait for next to be written.
func (e *delayed) release() {
	if e.written != nil {
		close(e.written)
		e.written = nil
	}
}

// drop drops the pending change of a key, unless it is in flight.
func (b *writeBehind) drop(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil && e.inFlight == nil {
		b.remove(key, e)
	}
}

// isFull reports whether put would refuse even the rollback of a control call of the
// key.
func (b *writeBehind) isFull(key, source string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[key] == nil && !hasRoom(controlRollback, b.countBySource[source], len(b.entries))
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
		for more := true; more; {
			if !b.pause(failures) {
				return
			}
			var err error
			if more, err = b.flush(time.Now()); err != nil {
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
			pause = max(min(pause*2, maxRetryPause), pause)
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

// storedVersion returns the version of a session in the store.
func (b *writeBehind) storedVersion(ctx context.Context, key string) (session.Version, error) {
	s, err := b.store.Get(ctx, key)
	return versionOf(s), err
}

// close writes the pending changes. It gives up at the second failure in a row, and
// returns its error.
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

// pending returns the sessions that are to be written, by key.
func (b *writeBehind) pending() map[string]*session.Session {
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
