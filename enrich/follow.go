package enrich

import (
	"context"
	"strings"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// follow tells the users of devices where they were active, asks the users'
// sessions about their own messages, and has those events that are in none take
// that of a device.
func (w *work) follow(wait *patience, table *sessionstate.Table, r *Request, o *Outcome) {
	w.asked.reset()
	mixed, followers := false, false
	for i := range w.subjects {
		s := &w.subjects[i]
		switch {
		case s.ofUser:
			w.asked.add(s.key, int32(i))
			followers = followers || s.event.Role == session.Follower
		case s.decision.Link != "":
			last := span{}
			if n := len(w.asked.entries); n > 0 {
				last = w.asked.entries[n-1].key
			}
			start := len(w.keys)
			w.keys = r.appendLinked(w.keys, s.decision.Link)
			w.asked.add(w.textFrom(start, last), int32(i))
			w.asked.entries[len(w.asked.entries)-1].sighting = true
		}
		mixed = mixed || !s.ofUser
	}
	w.ask(wait, table, r, o)
	if !followers {
		return
	}
	var places *places
	if mixed {
		places = w.places()
	}
	w.later = w.later[:0]
	for i := range w.subjects {
		if s := &w.subjects[i]; s.event.Role == session.Follower && !w.followNow(table, r, i, places) {
			w.later = append(w.later, i)
		}
	}
	if len(w.later) == 0 {
		return
	}
	links := make([]string, len(w.later))
	for i, at := range w.later {
		links[i] = strings.Clone(w.linkTo(r, &w.subjects[at]))
	}
	keys := string(w.keys)
	errs := make([]error, len(w.later))
	wait.each(len(w.later), len(w.later), func(ctx context.Context, i int) {
		at := w.later[i]
		s := &w.subjects[at]
		f := follower{r: r, table: table, previews: w.previews, user: links[i], places: places, at: at}
		errs[i] = f.decide(ctx, keys[s.key.start:s.key.end], &s.event, &s.decision)
	})
	for i, at := range w.later {
		if errs[i] != nil {
			w.subjects[at].decision = session.Decision{}
			o.fail(errs[i], nil)
		}
	}
}

// followNow completes the decision about a follower, if that needs no more than
// the session of one device, which is in memory, and reports whether it did.
func (w *work) followNow(table *sessionstate.Table, r *Request, i int, places *places) bool {
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
		if f, done = known.DeviceSession(r.Received, r.Policy, user, d.At.Time, places.before(device, d.At.Time, i)); done {
			d.Complete(&s.event, f)
		}
	})
	w.keys = w.keys[:start]
	return done
}

// linkTo returns the link to the one whose session a message is in.
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
	// previews are sessions as they would be, where nothing is to be changed.
	previews map[string]*session.Session
	// fresh: what others have done this moment is to be seen.
	fresh bool
	// user is the link to the user.
	user string
	// at is where the event stands in the request, with the others of places.
	at     int
	places *places
}

// decide completes the decision about the event of the user whose key it is. It
// goes from device to device until it finds one that was the user's then: the
// newest event of a device may have been before it changed hands.
func (f *follower) decide(ctx context.Context, key string, e *session.Event, d *session.Decision) error {
	last := d.Follow.Device // not that of the same time which stands behind the event
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

// on completes the decision by the session of a device, if that was the user's,
// and reports whether it was.
func (f *follower) on(ctx context.Context, device string, e *session.Event, d *session.Decision) (owned bool, err error) {
	if device == "" {
		return false, nil
	}
	var found session.DeviceSession
	key := string(f.r.appendLinked(nil, device))
	err = f.view(ctx, key, func(known *session.Session) {
		found, owned = known.DeviceSession(f.r.Received, f.r.Policy, f.user, d.At.Time, f.places.before(key, d.At.Time, f.at))
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
