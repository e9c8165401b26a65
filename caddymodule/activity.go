package caddymodule

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/enrich"
)

// activity is what lately happened at a table: counts by minute, always, and
// single decisions as long as somebody looks.
type activity struct {
	minutes [minutesKept]minute

	// until is the moment, in Unix milliseconds, until which decisions are kept
	// because somebody asked for them; watchers are told of each at once.
	until    atomic.Int64
	watching atomic.Int32

	mu       sync.Mutex
	kept     []Decided // a ring, once it is full
	next     int
	watchers map[*Watcher]struct{}
}

const (
	// minutesKept is for how many minutes events are counted.
	minutesKept = 60
	// decisionsKept is how many decisions are kept, and keepFor how long after
	// they were last asked for.
	decisionsKept = 1000
	keepFor       = 5 * time.Minute
	// watcherBehind is how many decisions a watcher may be behind before it
	// misses some.
	watcherBehind = 1024
)

// minute has the counts of one minute.
type minute struct {
	mu sync.Mutex
	Counts
}

// Counts are the events of a minute.
type Counts struct {
	// Minute is when it began, in Unix milliseconds.
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

const minuteLong = 60 * 1000

// count adds a request that was received at a moment to its minute.
func (a *activity) count(received int64, o *enrich.Outcome, failed bool) {
	at := received / minuteLong
	m := &a.minutes[at%minutesKept]
	m.mu.Lock()
	defer m.mu.Unlock()
	switch begin := at * minuteLong; {
	case m.Minute < begin:
		m.Counts = Counts{Minute: begin}
	case m.Minute > begin:
		return // an hour late
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

// lately returns the counts of the last minutes before a moment, oldest first;
// minutes without requests are left out.
func (a *activity) lately(now int64) []Counts {
	counts := []Counts{}
	for i := range a.minutes {
		m := &a.minutes[i]
		m.mu.Lock()
		if m.Requests > 0 && now-m.Minute < minutesKept*minuteLong {
			counts = append(counts, m.Counts)
		}
		m.mu.Unlock()
	}
	slices.SortFunc(counts, func(a, b Counts) int { return int(a.Minute - b.Minute) })
	return counts
}

// wanted reports whether somebody looks at decisions at a moment.
func (a *activity) wanted(now int64) bool {
	return a.watching.Load() > 0 || now < a.until.Load()
}

// note keeps what was decided, and tells it to those who watch.
func (a *activity) note(decided []Decided) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range decided {
		if d.received < a.until.Load() {
			if len(a.kept) < decisionsKept {
				a.kept = append(a.kept, d)
			} else {
				a.kept[a.next] = d
				a.next = (a.next + 1) % decisionsKept
			}
		}
		for w := range a.watchers {
			w.tell(d)
		}
	}
}

// recent returns the decisions that were kept, oldest first, and keeps them for
// a while from now on. Those that nobody asked for in time are forgotten.
func (a *activity) recent(now int64) []Decided {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now >= a.until.Load() {
		a.kept, a.next = nil, 0
	}
	a.until.Store(now + keepFor.Milliseconds())
	return append(append([]Decided{}, a.kept[a.next:]...), a.kept[:a.next]...)
}

// forget drops the decisions that are kept about any of these ids. Of one that
// is too long to be shown whole, those about all such ids of its kind.
func (a *activity) forget(ids []enrich.ID) {
	type name struct {
		user bool
		id   string
	}
	gone := map[name]bool{}
	for _, id := range ids {
		if id.HashedID {
			id.ID = cut
		}
		gone[name{id.User, id.ID}] = true
	}
	is := func(user bool, id string) bool {
		return gone[name{user, id}] || strings.HasSuffix(id, cut) && gone[name{user, cut}]
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
	// missed is how many there was no room for.
	missed atomic.Int64
	// gone is closed with the table.
	gone chan struct{}
}

// Decisions has the decisions, in the order in which they were made.
func (w *Watcher) Decisions() <-chan Decided { return w.decisions }

// Missed returns how many decisions there was no room for since it was last called.
func (w *Watcher) Missed() int64 { return w.missed.Swap(0) }

// Gone is closed when the table is.
func (w *Watcher) Gone() <-chan struct{} { return w.gone }

func (w *Watcher) tell(d Decided) {
	select {
	case w.decisions <- d:
	default:
		w.missed.Add(1)
	}
}

// watch begins to tell decisions to a watcher, until stop is called.
func (a *activity) watch() (w *Watcher, stop func()) {
	w = &Watcher{decisions: make(chan Decided, watcherBehind), gone: make(chan struct{})}
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

// close sends all watchers away: the table is closed.
func (a *activity) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := range a.watchers {
		close(w.gone)
		delete(a.watchers, w)
		a.watching.Add(-1)
	}
}
