package enrich

import (
	"context"
	"strings"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// follow is the second round of decide, with r.Follow: it notes in the users'
// sessions on which devices they were active, applies the users' own messages, and
// gives events of users that are in no session of their own the session of a device.
func (w *work) follow(budget *waitBudget, table *sessionstate.Table, r *Request, o *Outcome) {
	w.groups.reset()
	mixed, followers := false, false
	for i := range w.subjects {
		s := &w.subjects[i]
		switch {
		case s.ofUser:
			w.groups.add(s.key, int32(i))
			followers = followers || s.event.Role == session.Follower
		case s.decision.Link != "":
			last := span{}
			if n := len(w.groups.entries); n > 0 {
				last = w.groups.entries[n-1].key
			}
			start := len(w.keys)
			w.keys = r.appendLinked(w.keys, s.decision.Link)
			w.groups.add(w.textFrom(start, last), int32(i))
			w.groups.entries[len(w.groups.entries)-1].activity = true
		}
		mixed = mixed || !s.ofUser
	}
	w.applyGroups(budget, table, r, o)
	if !followers {
		return
	}
	var order *bodyOrder
	if mixed {
		order = w.bodyOrder()
	}
	w.waiting = w.waiting[:0]
	for i := range w.subjects {
		if s := &w.subjects[i]; s.event.Role == session.Follower && !w.followNow(table, r, i, order) {
			w.waiting = append(w.waiting, i)
		}
	}
	if len(w.waiting) == 0 {
		return
	}
	links := make([]string, len(w.waiting))
	for i, at := range w.waiting {
		links[i] = strings.Clone(w.linkTo(r, &w.subjects[at]))
	}
	keys := string(w.keys)
	errs := make([]error, len(w.waiting))
	budget.forEach(len(w.waiting), len(w.waiting), func(ctx context.Context, i int) {
		at := w.waiting[i]
		s := &w.subjects[at]
		f := follower{r: r, table: table, previews: w.previews, user: links[i], order: order, position: at}
		errs[i] = f.decide(ctx, keys[s.key.start:s.key.end], &s.event, &s.decision)
	})
	for i, at := range w.waiting {
		if errs[i] != nil {
			w.subjects[at].decision = session.Decision{}
			o.fail(errs[i], nil)
		}
	}
}

// followNow completes the decision about a follower if that needs only the session
// of one device, and that session is in memory. It reports whether it did.
func (w *work) followNow(table *sessionstate.Table, r *Request, i int, order *bodyOrder) bool {
	s := &w.subjects[i]
	d := &s.decision
	if d.Follow.Device == "" {
		d.Complete(&s.event, session.DeviceSession{})
		return true
	}
	if r.DryRun {
		return false
	}
	user := w.linkTo(r, s)
	start := len(w.keys)
	w.keys = r.appendLinked(w.keys, d.Follow.Device)
	device := w.text(w.textFrom(start, span{}))
	done := false
	table.ViewNow(&w.scratch, device, func(known *session.Session) {
		var f session.DeviceSession
		if f, done = known.DeviceSession(r.Received, r.Policy, user, d.At.Time, order.relativeTo(i, device, d.At.Time)); done {
			d.Complete(&s.event, f)
		}
	})
	w.keys = w.keys[:start]
	return done
}

// linkTo returns the link to the device or user whose session a message is in.
func (w *work) linkTo(r *Request, s *subject) string {
	start := len(w.keys)
	w.keys = r.appendSource(w.keys)
	source := int32(len(w.keys) - start)
	w.keys = append(w.keys[:start], w.keys[s.key.start])
	w.keys = append(w.keys, w.keys[s.key.start+1+source:s.key.end]...)
	w.link = w.textFrom(start, w.link)
	return w.text(w.link)
}

// follower finds the session of a device for an event of a user.
type follower struct {
	r     *Request
	table *sessionstate.Table
	// previews are the sessions as they would become, in a dry run.
	previews map[string]*session.Session
	// fresh: read the store, to see what other processes have just done.
	fresh bool
	// user is the link to the user.
	user string
	// position is that of the event in the body, and order that of the others.
	position int
	order    *bodyOrder
}

// decide completes the decision about an event of the user with this key. It tries
// one device after the other until it finds one that was the user's at the time: a
// device may have changed hands after its newest event from this user.
func (f *follower) decide(ctx context.Context, key string, e *session.Event, d *session.Decision) error {
	last := d.Follow.Device // it ignores devices of the same time later in the body
	if owned, err := f.on(ctx, last, e, d); owned || err != nil {
		return err
	}
	var devices []string
	err := f.view(ctx, key, func(known *session.Session) { devices = known.DevicesBefore(d.At.Time) })
	if err != nil {
		return err
	}
	for _, device := range devices {
		if device == last {
			continue
		}
		if owned, err := f.on(ctx, device, e, d); owned || err != nil {
			return err
		}
	}
	d.Follow.Device = ""
	d.Complete(e, session.DeviceSession{})
	return nil
}

// on completes the decision with the session of a device, if the device was the
// user's at the time, and reports whether it was.
func (f *follower) on(ctx context.Context, device string, e *session.Event, d *session.Decision) (owned bool, err error) {
	if device == "" {
		return false, nil
	}
	var found session.DeviceSession
	key := string(f.r.appendLinked(nil, device))
	err = f.view(ctx, key, func(known *session.Session) {
		found, owned = known.DeviceSession(f.r.Received, f.r.Policy, f.user, d.At.Time, f.order.relativeTo(f.position, key, d.At.Time))
	})
	if err != nil || !owned {
		return false, err
	}
	d.Follow.Device = device
	d.Complete(e, found)
	return true, nil
}

func (f *follower) view(ctx context.Context, key string, look func(*session.Session)) error {
	if s, ok := f.previews[key]; ok {
		look(s)
		return nil
	}
	if f.fresh {
		s, err := f.table.Session(ctx, key)
		look(s)
		return err
	}
	return f.table.View(ctx, key, look)
}
