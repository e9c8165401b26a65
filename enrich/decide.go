package enrich

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// decide asks the table about all subjects, key by key.
func (w *work) decide(ctx context.Context, table *sessionstate.Table, r *Request, o *Outcome) {
	n := len(w.subjects)
	w.events = grow(w.events, n)
	w.decisions = grow(w.decisions, n)
	// A copy of the keys would be a twentieth of the time that an event takes.
	// This string changes when w is used again: until then group and ApplyNow
	// have returned, neither of which keeps a key, and marks and wait make their
	// own. w.groups, which has it, is cleared by free.
	keys := unsafe.String(unsafe.SliceData(w.keys), len(w.keys))
	w.group(keys)
	w.runs = w.runs[:0]
	waiting := 0
	for from := 0; from < n; {
		key := w.subjects[w.order[from]].key
		to := from
		for ; to < n && w.subjects[w.order[to]].key == key; to++ {
			w.events[to] = w.subjects[w.order[to]].event
		}
		w.timeControls(from, to)
		run := run{from: from, to: to, key: key}
		run.taken = r.limit(table, keys[key.start:key.end], w.events[from:to])
		run.done = !r.DryRun && table.ApplyNow(&w.scratch, keys[key.start:key.end], r.Received, r.Policy, w.events[from:to], w.decisions[from:to])
		if !run.done {
			waiting++
		}
		w.runs = append(w.runs, run)
		from = to
	}
	if waiting > 0 {
		w.wait(ctx, table, r, waiting)
	}
	for i := range w.runs {
		run := &w.runs[i]
		r.settle(table, keys[run.key.start:run.key.end], run.taken, w.decisions[run.from:run.to], run.err != nil)
		if run.err != nil {
			o.fail(run.err, w.events[run.from:run.to])
			clear(w.decisions[run.from:run.to])
			run.err = nil
		}
		for i := run.from; i < run.to; i++ {
			s := &w.subjects[w.order[i]]
			s.decision = w.decisions[i]
			o.count(s)
		}
	}
}

// run is the messages of one key: w.order[from:to].
type run struct {
	from, to int
	key      span
	// taken is how many sessions it may begin, of those that are counted.
	taken int
	done  bool
	err   error
}

// atOnce is for how many keys of a request a store is waited for at the same
// time.
const atOnce = 16

// longestWait bounds how long a request waits for a store, whatever it has of
// users: what is not known by then is as if the store had failed.
const longestWait = 5 * time.Second

// wait asks the table about the keys for which it has to ask its store.
func (w *work) wait(ctx context.Context, table *sessionstate.Table, r *Request, waiting int) {
	ctx, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	keys := string(w.keys)
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(w.runs) {
				return
			}
			if run := &w.runs[i]; !run.done {
				if run.err = ctx.Err(); run.err != nil {
					continue
				}
				key := keys[run.key.start:run.key.end]
				apply := table.Apply
				if r.DryRun {
					apply = table.Preview
				}
				run.err = apply(ctx, key, r.Received, r.Policy, w.events[run.from:run.to], w.decisions[run.from:run.to])
			}
		}
	}
	var others sync.WaitGroup
	for range min(waiting, atOnce) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// group makes w.order the order of the subjects by key, and those of one key
// in the order of the body, with equal keys at equal spans.
func (w *work) group(keys string) {
	n := len(w.subjects)
	w.order = grow(w.order, n)
	same := true
	for i := range w.subjects {
		w.order[i] = int32(i)
		same = same && w.subjects[i].key == w.subjects[0].key
	}
	if same {
		return
	}
	// A chain of subjects for each key, and then one chain after the other.
	w.chains, w.behind = w.chains[:0], grow(w.behind, n)
	at := -1
	for i := range w.subjects {
		s := &w.subjects[i]
		if i == 0 || s.key != w.subjects[i-1].key {
			key := keys[s.key.start:s.key.end]
			known, ok := w.groups[key]
			if at = int(known); !ok {
				at = len(w.chains)
				w.groups[key] = int32(at)
				w.chains = append(w.chains, chain{first: int32(i), last: int32(i)})
			}
		}
		c := &w.chains[at]
		s.key = w.subjects[c.first].key
		w.behind[c.last], w.behind[i] = int32(i), -1
		c.last = int32(i)
	}
	w.order = w.order[:0]
	for _, c := range w.chains {
		for i := c.first; i >= 0; i = w.behind[i] {
			w.order = append(w.order, i)
		}
	}
}

// chain is the subjects of one key, from one to the next by work.behind.
type chain struct{ first, last int32 }

// timeControls gives the control calls that do not say when they happened, in
// a batch whose events do, a moment that their place in it tells: not after
// any message of the same key behind them.
func (w *work) timeControls(from, to int) {
	if to-from < 2 {
		return
	}
	next := w.events[to-1].Time
	for i := to - 2; i >= from; i-- {
		e := &w.events[i]
		if e.Kind.Control() && w.subjects[w.order[i]].untimed && next < e.Time {
			e.Time, e.Untold = next, false
		}
		next = min(next, e.Time)
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
