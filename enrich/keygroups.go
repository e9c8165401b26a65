package enrich

import (
	"context"
	"sync"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// keyGroups groups messages by the key of the session that they belong to, and
// has for each group the events to apply and the decisions about them.
type keyGroups struct {
	entries []entry
	// order sorts the entries by key, and those of one key in the order of the
	// body. events, decisions and groups have this order.
	order     []int32
	events    []session.Event
	decisions []session.Decision
	groups    []keyGroup

	// While entries are sorted: a linked list of the entries of each key.
	chainOf   map[string]int32
	chains    []chain
	nextEntry []int32
}

// entry is a message to apply to the session of a key. With activity set it is
// not a message of this key, but a note that the user was active on a device.
type entry struct {
	key      span
	subject  int32
	activity bool
}

// keyGroup is the messages of one key: keyGroups.order[from:to].
type keyGroup struct {
	from, to int
	key      span
	done     bool
	err      error
}

// chain is a linked list of the entries of one key, through keyGroups.nextEntry.
type chain struct{ first, last int32 }

func (g *keyGroups) reset() { g.entries = g.entries[:0] }

func (g *keyGroups) add(key span, subject int32) {
	g.entries = append(g.entries, entry{key: key, subject: subject})
}

// entry returns the entry at an index of the order.
func (g *keyGroups) entry(at int) *entry { return &g.entries[g.order[at]] }

// sort sorts the entries by key, and gives equal keys the same span.
func (g *keyGroups) sort(w *work) {
	n := len(g.entries)
	g.order = grow(g.order, n)
	same := true
	for i := range g.entries {
		g.order[i] = int32(i)
		same = same && g.entries[i].key == g.entries[0].key
	}
	if same {
		return
	}
	clear(g.chainOf)
	g.chains, g.nextEntry = g.chains[:0], grow(g.nextEntry, n)
	at := -1
	for i := range g.entries {
		e := &g.entries[i]
		if i == 0 || e.key != g.entries[i-1].key {
			key := w.text(e.key)
			known, ok := g.chainOf[key]
			if at = int(known); !ok {
				at = len(g.chains)
				g.chainOf[key] = int32(at)
				g.chains = append(g.chains, chain{first: int32(i), last: int32(i)})
			}
		}
		c := &g.chains[at]
		e.key = g.entries[c.first].key
		g.nextEntry[c.last], g.nextEntry[i] = int32(i), -1
		c.last = int32(i)
	}
	g.order = g.order[:0]
	for _, c := range g.chains {
		for i := c.first; i >= 0; i = g.nextEntry[i] {
			g.order = append(g.order, i)
		}
	}
}

// split makes a group of the entries of each key. They must be sorted.
func (g *keyGroups) split() {
	g.groups = g.groups[:0]
	for from := 0; from < len(g.entries); {
		key := g.entry(from).key
		to := from + 1
		for to < len(g.entries) && g.entry(to).key == key {
			to++
		}
		g.groups = append(g.groups, keyGroup{from: from, to: to, key: key})
		from = to
	}
}

// applyWaiting applies the groups that are not done, several at the same time:
// the table has to wait for its store about their keys.
func (w *work) applyWaiting(budget *waitBudget, table *sessionstate.Table, r *Request, waiting int) {
	g := &w.groups
	keys := string(w.keys)
	if r.DryRun && w.previews == nil {
		w.previews = map[string]*session.Session{}
	}
	var previews sync.Mutex
	budget.caller.Source = r.WriteKey
	budget.forEach(len(g.groups), waiting, func(ctx context.Context, i int) {
		group := &g.groups[i]
		if group.done {
			return
		}
		if group.err = ctx.Err(); group.err != nil {
			return
		}
		key, events, decisions := keys[group.key.start:group.key.end], g.events[group.from:group.to], g.decisions[group.from:group.to]
		request := session.Request{Received: r.Received, Policy: r.Policy, Events: events}
		if !r.DryRun {
			limiter := startLimiter{}
			if r.MaxStarts > 0 {
				limiter.reset(r, table, key)
				request.Starts = &limiter
			}
			group.err = table.Apply(ctx, key, &request, decisions)
			limiter.settle(decisions, group.err != nil)
			return
		}
		var s *session.Session
		s, group.err = table.Preview(ctx, key, &request, decisions)
		previews.Lock()
		w.previews[key] = s
		previews.Unlock()
	})
	// The changes must survive a crash before anybody hears of the decisions.
	budget.caller.Wait(budget.begin())
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
