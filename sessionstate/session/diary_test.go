package session_test

import (
	"testing"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// diary is one key's state at the time of the newest message.
type diary struct {
	p    Policy
	mode Mode
	id   int64
	mark MessageID
	user UserID
	// since and last are the times of the first and the newest event of an automatic
	// session; in an ended state, last is the time of the newest end.
	since, last int64
	// userAt is when the user was set.
	userAt int64
	// turns are the ids of all turns taken; 0 for those without a session.
	turns []int64

	previous Event
	answer   Decision
	repeat   bool
}

func (d *diary) turn(mode Mode, e Event, id int64) {
	if mode != Manual && mode != Automatic {
		id = 0
	} else if id == 0 {
		id = raise(e.Times.Original, d.turns[max(0, len(d.turns)-MaxSegments):])
	}
	d.mode, d.id, d.mark, d.user, d.since, d.last = mode, id, 0, e.User, e.Times.Original, e.Times.Original
	d.userAt = e.Times.Original
	d.turns = append(d.turns, id)
}

func (d *diary) alive(e Event) bool {
	return d.mode == Manual || d.mode == Automatic &&
		e.Times.Original-d.last <= d.p.Timeout && (d.p.Cutoff == 0 || e.Times.Original-d.since <= d.p.Cutoff)
}

func (d *diary) tell(e Event) Decision {
	if e.Message != 0 && e == d.previous {
		// Only the repeat of a call that changed something is marked as repeated.
		d.answer.Repeated = d.repeat
		return d.answer
	}
	d.previous, d.repeat = e, false
	if e.Kind.Control() {
		d.answer = d.control(e)
	} else {
		d.answer = d.event(e)
	}
	return d.answer
}

func (d *diary) control(e Event) Decision {
	switch {
	case e.Kind == Start:
		d.turn(Manual, e, e.ID)
	case e.Kind == Reset && d.alive(e):
		d.turn(d.mode, e, 0)
	case e.Kind == Reset:
		d.repeat = true
		return Decision{}
	case d.mode == Ended && e.Times.Original == d.last:
		return Decision{}
	case d.mode == Ended:
		d.last = e.Times.Original
	default:
		d.turn(Ended, e, 0)
	}
	d.repeat = true
	return Decision{SessionID: d.id}
}

func (d *diary) event(e Event) Decision {
	if (d.mode == Manual || d.mode == Ended) && shows(d.p, e, d.mode == Ended, d.last) {
		switch {
		case d.p.Automatic != AutomaticProxy:
			d.turn(None, e, 0)
		case e.JoinOnly: // creates and changes nothing
			return Decision{}
		default:
			d.mode = None // and an automatic session begins below
		}
	}
	if d.mode == Ended {
		return Decision{Action: Clear}
	}
	if d.mode != Manual {
		if d.p.Automatic != AutomaticProxy {
			return keepOrClear(d.p)
		}
		alive := d.alive(e)
		switch {
		case e.JoinOnly && alive:
			return Decision{Action: Stamp, SessionID: d.id}
		case e.JoinOnly:
			return Decision{}
		case alive:
			d.last = e.Times.Original
		default:
			d.turn(Automatic, e, 0)
		}
	}
	if e.Kind == Identify && e.User != 0 && d.user != 0 && e.User != d.user {
		if renews(d.p, e) {
			d.turn(d.mode, e, 0)
		}
		d.user, d.userAt = e.User, e.Times.Original
	}
	if e.LoggedOut && d.user != 0 && e.Times.Original > d.userAt && d.p.IdentifyReset != IdentifyResetNever {
		d.turn(d.mode, e, 0)
	}
	if d.user == 0 {
		d.user, d.userAt = e.User, e.Times.Original
	}
	if d.mark == 0 {
		d.mark = e.Message
	}
	return Decision{Action: Stamp, SessionID: d.id, Start: e.Message == d.mark}
}

func TestInOrderAsTheContractReads(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		events := drawOrdered(t)
		d := diary{p: p}
		deliver(t, &p, events, func(i int, got Decision) {
			if want := d.tell(events[i]); got != want {
				t.Fatalf("%s\n got  %s\n want %s", brief(events[i]), show(got), show(want))
			}
		})
	})
}
