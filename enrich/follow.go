package enrich

import (
	"context"
	"strings"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// follow tells the users of devices where they were active, asks the users'
// sessions about their own messages, and has those events that are in none take
// that of a device.
func (w *work) follow(wait *patience, table *sessionstate.Table, r *Request, o *Outcome) {
	w.asked.reset()
	w.moved = w.movedDevices()
	mixed, followers := false, false
	for i := range w.subjects {
		s := &w.subjects[i]
		switch {
		case s.ofUser:
			w.asked.add(s.key, int32(i))
			followers = followers || s.event.Role == sessionstate.Follower
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
		if s := &w.subjects[i]; s.event.Role == sessionstate.Follower && !w.followNow(table, r, i, places) {
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
			w.subjects[at].decision = sessionstate.Decision{}
			o.fail(errs[i], nil)
		}
	}
}

// movedDevices returns by how much the times of devices' messages were moved, where
// the request was sent before: what stood before a device's control call in it, and
// behind, is to be there now too.
func (w *work) movedDevices() (by sessionstate.Clocks) {
	for i := range w.subjects {
		s := &w.subjects[i]
		if s.event.Role == sessionstate.Device && s.decision.Repeated {
			by.Set(&s.event, s.decision.Time-s.event.Time)
		}
	}
	return by
}

// followNow completes the decision about a follower, if that needs no more than
// the session of one device, which is in memory, and reports whether it did.
func (w *work) followNow(table *sessionstate.Table, r *Request, i int, places *places) bool {
	s := &w.subjects[i]
	d := &s.decision
	if d.Link == "" {
		d.Follow(&s.event, sessionstate.Followed{})
		return true
	}
	if r.DryRun {
		return false
	}
	user := w.linkTo(r, s)
	start := len(w.keys)
	w.keys = r.appendLinked(w.keys, d.Link)
	device := w.text(w.textFrom(start, span{}))
	done := false
	table.ViewNow(&w.scratch, device, func(known *sessionstate.Session) {
		var f sessionstate.Followed
		if f, done = known.Followed(r.Received, r.Policy, user, d.Time, places.beside(device, d.Time, i)); done {
			d.Follow(&s.event, f)
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
	previews map[string]*sessionstate.Session
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
func (f *follower) decide(ctx context.Context, key string, e *sessionstate.Event, d *sessionstate.Decision) error {
	last := d.Link // not that of the same time which stands behind the event
	if owned, err := f.on(ctx, last, e, d); owned || err != nil {
		return err
	}
	var devices []string
	err := f.view(ctx, key, func(known *sessionstate.Session) { devices = known.DevicesBefore(d.Time) })
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
	d.Link = ""
	d.Follow(e, sessionstate.Followed{})
	return nil
}

// on completes the decision by the session of a device, if that was the user's,
// and reports whether it was.
func (f *follower) on(ctx context.Context, device string, e *sessionstate.Event, d *sessionstate.Decision) (owned bool, err error) {
	if device == "" {
		return false, nil
	}
	var found sessionstate.Followed
	key := string(f.r.appendLinked(nil, device))
	err = f.view(ctx, key, func(known *sessionstate.Session) {
		found, owned = known.Followed(f.r.Received, f.r.Policy, f.user, d.Time, f.places.beside(key, d.Time, f.at))
	})
	if err != nil || !owned {
		return false, err
	}
	d.Link = device
	d.Follow(e, found)
	return true, nil
}

func (f *follower) view(ctx context.Context, key string, look func(*sessionstate.Session)) error {
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
