package enrich

import (
	"context"
	"unsafe"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// decide asks the table for decisions about all subjects, key by key. With
// r.Follow, the devices come first: what their messages say about their users
// already holds for the users' events of the same request.
func (w *work) decide(ctx context.Context, table *sessionstate.Table, r *Request, o *Outcome) {
	budget := waitBudget{parent: ctx}
	defer budget.end()
	w.groups.reset()
	for i := range w.subjects {
		if s := &w.subjects[i]; !r.Follow || !s.ofUser {
			w.groups.add(s.key, int32(i))
		}
	}
	w.applyGroups(&budget, table, r, o)
	if r.Follow {
		w.follow(&budget, table, r, o)
	}
	for i := range w.subjects {
		o.count(&w.subjects[i])
	}
}

// text returns a part of w.keys as a string, without copying it: a copy would take
// a twentieth of the time that an event takes. The string becomes invalid when w is
// used again. By then nobody uses it: free clears w.groups.chainOf, ApplyNow
// keeps nothing of it, and marks and applyWaiting make copies.
func (w *work) text(at span) string {
	return unsafe.String(unsafe.SliceData(w.keys[at.start:at.end]), at.end-at.start)
}

// applyGroups applies the messages in w.groups to the sessions of their keys, and
// stores the decisions in the subjects.
func (w *work) applyGroups(budget *waitBudget, table *sessionstate.Table, r *Request, o *Outcome) {
	g := &w.groups
	n := len(g.entries)
	if n == 0 {
		return
	}
	g.events, g.decisions = grow(g.events, n), grow(g.decisions, n)
	g.sort(w)
	g.split()
	waiting := 0
	for i := range g.groups {
		group := &g.groups[i]
		for at := group.from; at < group.to; at++ {
			g.events[at] = w.event(r, g.entry(at))
		}
		if r.DryRun {
			waiting++
			continue
		}
		key, decisions := w.text(group.key), g.decisions[group.from:group.to]
		w.request = session.Request{Received: r.Received, Policy: r.Policy, Events: g.events[group.from:group.to]}
		if r.MaxStarts > 0 {
			w.limiter.reset(r, table, key)
			w.request.Starts = &w.limiter
		}
		group.done = table.ApplyNow(&w.scratch, key, &w.request, decisions)
		if w.limiter.settle(decisions, !group.done); !group.done {
			waiting++
		}
	}
	if waiting > 0 {
		w.applyWaiting(budget, table, r, waiting)
	}
	for i := range g.groups {
		group := &g.groups[i]
		if group.err != nil {
			o.fail(group.err, g.events[group.from:group.to])
			clear(g.decisions[group.from:group.to])
			group.err = nil
		}
		for j := group.from; j < group.to; j++ {
			if e := g.entry(j); !e.activity {
				w.subjects[e.subject].decision = g.decisions[j]
			}
		}
	}
}

// event returns the event that the table is given for an entry.
func (w *work) event(r *Request, e *entry) session.Event {
	s := &w.subjects[e.subject]
	if e.activity {
		return session.Event{Role: session.UserActivity, Times: session.Timestamps{Original: s.decision.At.Time, HasOriginal: true}, Link: w.linkTo(r, s)}
	}
	event := s.event
	if event.Role == session.Device {
		event.Link = w.text(s.link)
	}
	return event
}
