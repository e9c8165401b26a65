package enrich

import (
	"context"
	"unsafe"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// decide asks the table about all subjects, key by key. Where events follow their
// users' devices, the devices are asked first: what they tell of their users
// holds for the users' events of the same request.
func (w *work) decide(ctx context.Context, table *sessionstate.Table, r *Request, o *Outcome) {
	wait := patience{parent: ctx}
	defer wait.end()
	w.asked.reset()
	for i := range w.subjects {
		if s := &w.subjects[i]; !r.Follow || !s.ofUser {
			w.asked.add(s.key, int32(i))
		}
	}
	w.ask(&wait, table, r, o)
	if r.Follow {
		w.follow(&wait, table, r, o)
	}
	for i := range w.subjects {
		o.count(&w.subjects[i])
	}
}

// text returns a part of w.keys as a string. A copy of the keys would be a
// twentieth of the time that an event takes. This string changes when w is used
// again: until then nobody has it but w.asked, whose groups free clears, and
// whose keys and events nobody reads. ApplyNow keeps nothing of it, marks and wait
// make copies.
func (w *work) text(at span) string {
	return unsafe.String(unsafe.SliceData(w.keys[at.start:at.end]), at.end-at.start)
}

// ask applies w.asked to the sessions of their keys.
func (w *work) ask(wait *patience, table *sessionstate.Table, r *Request, o *Outcome) {
	a := &w.asked
	n := len(a.entries)
	if n == 0 {
		return
	}
	a.events, a.decisions = grow(a.events, n), grow(a.decisions, n)
	a.group(w)
	a.split()
	waiting := 0
	for i := range a.runs {
		run := &a.runs[i]
		for at := run.from; at < run.to; at++ {
			a.events[at] = w.event(r, a.entry(at))
		}
		if r.DryRun {
			waiting++
			continue
		}
		key, decisions := w.text(run.key), a.decisions[run.from:run.to]
		w.request = session.Request{Received: r.Received, Policy: r.Policy, Events: a.events[run.from:run.to]}
		if r.MaxStarts > 0 {
			w.limiter.reset(r, table, key)
			w.request.Starts = &w.limiter
		}
		run.done = table.ApplyNow(&w.scratch, key, &w.request, decisions)
		if w.limiter.settle(decisions, !run.done); !run.done {
			waiting++
		}
	}
	if waiting > 0 {
		w.wait(wait, table, r, waiting)
	}
	for i := range a.runs {
		run := &a.runs[i]
		if run.err != nil {
			o.fail(run.err, a.events[run.from:run.to])
			clear(a.decisions[run.from:run.to])
			run.err = nil
		}
		for j := run.from; j < run.to; j++ {
			if e := a.entry(j); !e.sighting {
				w.subjects[e.subject].decision = a.decisions[j]
			}
		}
	}
}

// event returns what the table is to be told of an entry.
func (w *work) event(r *Request, e *entry) session.Event {
	s := &w.subjects[e.subject]
	if e.sighting {
		return session.Event{Role: session.UserActivity, Times: session.Timestamps{Original: s.decision.At.Time, HasOriginal: true}, Link: w.linkTo(r, s)}
	}
	event := s.event
	if event.Role == session.Device {
		event.Link = w.text(s.link)
	}
	return event
}
