package enrich

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// asked is what a table is asked in one go: messages, by the key of the session
// that they are applied to.
type asked struct {
	entries []entry
	// order is that of the entries by key, and those of one key in the order of
	// the body. In this order are the events, the decisions about them, and the
	// runs of equal keys.
	order     []int32
	events    []session.Event
	decisions []session.Decision
	runs      []run

	groups map[string]int32
	chains []chain
	behind []int32
}

// entry is a message that a key's session is asked about; or told of, if it is a
// sighting of the key's user.
type entry struct {
	key      span
	subject  int32
	sighting bool
}

// run is the messages of one key: asked.order[from:to].
type run struct {
	from, to int
	key      span
	done     bool
	err      error
}

// chain is the entries of one key, from one to the next by asked.behind.
type chain struct{ first, last int32 }

func (a *asked) reset() { a.entries = a.entries[:0] }

func (a *asked) add(key span, subject int32) {
	a.entries = append(a.entries, entry{key: key, subject: subject})
}

// entry returns that which stands at a place of the order.
func (a *asked) entry(at int) *entry { return &a.entries[a.order[at]] }

// group makes the order, with equal keys at equal spans.
func (a *asked) group(w *work) {
	n := len(a.entries)
	a.order = grow(a.order, n)
	same := true
	for i := range a.entries {
		a.order[i] = int32(i)
		same = same && a.entries[i].key == a.entries[0].key
	}
	if same {
		return
	}
	// A chain of entries for each key, and then one chain after the other.
	clear(a.groups)
	a.chains, a.behind = a.chains[:0], grow(a.behind, n)
	at := -1
	for i := range a.entries {
		e := &a.entries[i]
		if i == 0 || e.key != a.entries[i-1].key {
			key := w.text(e.key)
			known, ok := a.groups[key]
			if at = int(known); !ok {
				at = len(a.chains)
				a.groups[key] = int32(at)
				a.chains = append(a.chains, chain{first: int32(i), last: int32(i)})
			}
		}
		c := &a.chains[at]
		e.key = a.entries[c.first].key
		a.behind[c.last], a.behind[i] = int32(i), -1
		c.last = int32(i)
	}
	a.order = a.order[:0]
	for _, c := range a.chains {
		for i := c.first; i >= 0; i = a.behind[i] {
			a.order = append(a.order, i)
		}
	}
}

// split makes the runs.
func (a *asked) split() {
	a.runs = a.runs[:0]
	for from := 0; from < len(a.entries); {
		key := a.entry(from).key
		to := from + 1
		for to < len(a.entries) && a.entry(to).key == key {
			to++
		}
		a.runs = append(a.runs, run{from: from, to: to, key: key})
		from = to
	}
}

// atOnce is for how many keys of a request a store is waited for at the same
// time.
const atOnce = 16

// longestWait bounds how long a request waits for a store, whatever it has of
// users: what is not known by then is as if the store had failed.
const longestWait = 5 * time.Second

// patience is how long a request waits for a store, in all. It begins with the
// first time.
type patience struct {
	parent, ctx context.Context
	cancel      context.CancelFunc
	caller      sessionstate.Caller
}

func (p *patience) begin() context.Context {
	if p.ctx == nil {
		p.ctx, p.cancel = context.WithTimeout(p.caller.In(p.parent), longestWait)
	}
	return p.ctx
}

func (p *patience) end() {
	if p.cancel != nil {
		p.cancel()
	}
}

// each calls fn for 0 to n-1, some at the same time.
func (p *patience) each(n, waiting int, fn func(ctx context.Context, i int)) {
	ctx := p.begin()
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			fn(ctx, i)
		}
	}
	var others sync.WaitGroup
	for range min(waiting, atOnce) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// wait asks the table about the keys for which it has to ask its store.
func (w *work) wait(wait *patience, table *sessionstate.Table, r *Request, waiting int) {
	a := &w.asked
	keys := string(w.keys)
	if r.DryRun && w.previews == nil {
		w.previews = map[string]*session.Session{}
	}
	var previews sync.Mutex
	wait.caller.Source = r.WriteKey
	wait.each(len(a.runs), waiting, func(ctx context.Context, i int) {
		run := &a.runs[i]
		if run.done {
			return
		}
		if run.err = ctx.Err(); run.err != nil {
			return
		}
		key, events, decisions := keys[run.key.start:run.key.end], a.events[run.from:run.to], a.decisions[run.from:run.to]
		request := session.Request{Received: r.Received, Policy: r.Policy, Events: events}
		if !r.DryRun {
			limiter := startLimiter{}
			if r.MaxStarts > 0 {
				limiter.reset(r, table, key)
				request.Starts = &limiter
			}
			run.err = table.Apply(ctx, key, &request, decisions)
			limiter.settle(decisions, run.err != nil)
			return
		}
		var s *session.Session
		s, run.err = table.Preview(ctx, key, &request, decisions)
		previews.Lock()
		w.previews[key] = s
		previews.Unlock()
	})
	// What is decided is to outlive a crash before anybody hears of it.
	wait.caller.Wait(wait.begin())
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
