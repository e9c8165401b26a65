package caddymodule

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/enrich"
)

// activity is what happened at a table recently: always the counts of each minute,
// and single decisions while somebody is looking at them.
type activity struct {
	minutes [minutesKept]minute

	// Decisions are kept until keepUntil, in Unix milliseconds: for a while after
	// somebody asked for them.
	keepUntil atomic.Int64
	// watching is len(watchers), readable without mu.
	watching atomic.Int32

	mu       sync.Mutex
	kept     []Decided // a ring buffer once it is full
	next     int
	watchers map[*Watcher]struct{}
}

const (
	// minutesKept is for how many minutes events are counted.
	minutesKept = 60
	// decisionsKept is how many decisions are kept at most. They are kept for keepFor
	// after somebody last asked for them.
	decisionsKept = 1000
	keepFor       = 5 * time.Minute
	// watcherBuffer is how many decisions a watcher may lag behind before it misses
	// some.
	watcherBuffer = 1024
)

// minute has the counts of one minute.
type minute struct {
	mu sync.Mutex
	Counts
}

// Counts are the events of a minute.
type Counts struct {
	// Minute is the start of the minute, in Unix milliseconds.
	Minute    int64 `json:"minute"`
	Requests  int   `json:"requests"`
	Stamped   int   `json:"stamped"`
	Cleared   int   `json:"cleared"`
	Untouched int   `json:"untouched"`
	Consumed  int   `json:"consumed"`
	Started   int   `json:"started"`
	Ended     int   `json:"ended"`
	Errors    int   `json:"errors"`
}

const minuteMillis = 60 * 1000

// count adds a request, received at a time in Unix milliseconds, to its minute.
func (a *activity) count(received int64, o *enrich.Outcome, failed bool) {
	at := received / minuteMillis
	m := &a.minutes[at%minutesKept]
	m.mu.Lock()
	defer m.mu.Unlock()
	switch start := at * minuteMillis; {
	case m.Minute < start:
		m.Counts = Counts{Minute: start}
	case m.Minute > start:
		return // received an hour ago: a later minute has its slot
	}
	m.Requests++
	m.Errors += o.StoreErrors
	if failed {
		return
	}
	m.Stamped += o.Stamped
	m.Cleared += o.Cleared
	m.Untouched += o.Untouched
	m.Consumed += o.Consumed()
	for cause := range o.Began {
		m.Started += o.Began[cause]
		m.Ended += o.Ended[cause]
	}
}

// recentCounts returns the counts of the minutes up to now, oldest first, without
// minutes that had no requests.
func (a *activity) recentCounts(now int64) []Counts {
	counts := []Counts{}
	for i := range a.minutes {
		m := &a.minutes[i]
		m.mu.Lock()
		if m.Requests > 0 && now-m.Minute < minutesKept*minuteMillis {
			counts = append(counts, m.Counts)
		}
		m.mu.Unlock()
	}
	slices.SortFunc(counts, func(a, b Counts) int { return int(a.Minute - b.Minute) })
	return counts
}

// observed reports whether somebody is looking at decisions now.
func (a *activity) observed(now int64) bool {
	return a.watching.Load() > 0 || now < a.keepUntil.Load()
}

// record keeps decisions and sends them to the watchers.
func (a *activity) record(decided []Decided) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range decided {
		if d.received < a.keepUntil.Load() {
			if len(a.kept) < decisionsKept {
				a.kept = append(a.kept, d)
			} else {
				a.kept[a.next] = d
				a.next = (a.next + 1) % decisionsKept
			}
		}
		for w := range a.watchers {
			w.send(d)
		}
	}
}

// recentDecisions returns the kept decisions, oldest first, and has decisions kept
// for another keepFor. If nobody asked within the last keepFor, it first drops what
// was kept.
func (a *activity) recentDecisions(now int64) []Decided {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now >= a.keepUntil.Load() {
		a.kept, a.next = nil, 0
	}
	a.keepUntil.Store(now + keepFor.Milliseconds())
	return append(append([]Decided{}, a.kept[a.next:]...), a.kept[:a.next]...)
}

// forget drops the kept decisions about any of these ids. For an id that is kept
// truncated, it drops those about all truncated ids of its kind, because they cannot
// be told apart.
func (a *activity) forget(ids []enrich.ID) {
	type name struct {
		user bool
		id   string
	}
	forgotten := map[name]bool{}
	for _, id := range ids {
		if id.HashedID {
			id.ID = ellipsis
		}
		forgotten[name{id.User, id.ID}] = true
	}
	is := func(user bool, id string) bool {
		return forgotten[name{user, id}] || strings.HasSuffix(id, ellipsis) && forgotten[name{user, ellipsis}]
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	inOrder := slices.Concat(a.kept[a.next:], a.kept[:a.next])
	a.next = 0
	a.kept = slices.DeleteFunc(inOrder, func(d Decided) bool {
		return is(false, d.AnonymousID) || is(true, d.UserID)
	})
}

// Watcher gets decisions as they are made.
type Watcher struct {
	decisions chan Decided
	// missed counts decisions that were dropped because the buffer was full.
	missed atomic.Int64
	// closed is closed with the table.
	closed chan struct{}
}

// Decisions returns the decisions, in the order in which they were made.
func (w *Watcher) Decisions() <-chan Decided { return w.decisions }

// Missed returns how many decisions were dropped since the last call, because the
// buffer was full.
func (w *Watcher) Missed() int64 { return w.missed.Swap(0) }

// Closed returns a channel that is closed when the table is.
func (w *Watcher) Closed() <-chan struct{} { return w.closed }

func (w *Watcher) send(d Decided) {
	select {
	case w.decisions <- d:
	default:
		w.missed.Add(1)
	}
}

// watch sends decisions to a new watcher until stop is called.
func (a *activity) watch() (w *Watcher, stop func()) {
	w = &Watcher{decisions: make(chan Decided, watcherBuffer), closed: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watchers == nil {
		a.watchers = map[*Watcher]struct{}{}
	}
	a.watchers[w] = struct{}{}
	a.watching.Add(1)
	return w, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if _, there := a.watchers[w]; there {
			delete(a.watchers, w)
			a.watching.Add(-1)
		}
	}
}

// close ends all watchers, because the table is closed.
func (a *activity) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := range a.watchers {
		close(w.closed)
		delete(a.watchers, w)
		a.watching.Add(-1)
	}
}
