package session_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

func (a *archive) tell(e Event) Decision {
	a.clock++
	if e.Kind.Control() {
		return a.control(e)
	}
	if x := a.turnOf(e); x != nil {
		return a.stamp(e, x)
	}
	holds, next, forgotten := a.around(e.Times.Original)
	if forgotten {
		return keepOrClear(a.p)
	}
	inferred := e.ColdStart == NoColdStart || e.Server
	if holds != nil && (holds.mode == Manual || holds.mode == Ended) {
		if !shows(a.p, e, holds.mode == Ended, holds.at) {
			if holds.mode == Manual && a.p.Automatic == AutomaticProxy {
				a.noteCold(holds, e)
			}
			return a.stamp(e, a.identify(e, holds))
		}
		if a.p.Automatic != AutomaticProxy && !a.record(&turn{at: e.Times.Original, mode: None, cause: e.Message, inferred: inferred}) {
			return keepOrClear(a.p)
		}
	}
	if a.p.Automatic != AutomaticProxy {
		return keepOrClear(a.p)
	}
	if x := a.join(e, holds, next); x != nil {
		a.noteCold(x, e)
		return a.stamp(e, a.identify(e, x))
	}
	x := &turn{
		at: e.Times.Original, mode: Automatic, id: a.generate(e.Times.Original), cause: e.Message,
		user: e.User, userAt: e.Times.Original, events: []int64{e.Times.Original}, inferred: inferred,
	}
	if e.JoinOnly || !a.record(x) {
		return Decision{}
	}
	return a.stamp(e, x)
}

func (a *archive) control(e Event) Decision {
	if x := a.turnOf(e); x != nil {
		return Decision{SessionID: x.id, Repeated: true}
	}
	if slices.Contains(a.nothing[max(0, len(a.nothing)-MaxNoOps):], e.Message) {
		return Decision{Repeated: true}
	}
	holds, _, _ := a.around(e.Times.Original)
	x := &turn{at: e.Times.Original, mode: Manual, id: e.ID, cause: e.Message, user: e.User, userAt: e.Times.Original, said: true}
	switch e.Kind {
	case End:
		a.end(e, holds)
		return Decision{}
	case Reset:
		if !a.alive(holds, e.Times.Original) {
			if e.Message != 0 {
				a.nothing = append(a.nothing, e.Message)
			}
			return Decision{}
		}
		a.replace(x, holds)
	}
	if x.id == 0 {
		x.id = a.generate(e.Times.Original)
	}
	if e.Kind == Start {
		a.correct(e, x)
	}
	a.record(x)
	return Decision{SessionID: x.id}
}

func (a *archive) end(e Event, holds *turn) {
	x := &turn{at: e.Times.Original, mode: Ended, cause: e.Message, said: true}
	if holds == nil || holds.mode != Ended {
		a.correct(e, x)
		a.record(x)
		return
	}
	// F: an end older than the newest one has no effect, a newer one replaces it.
	if y := a.after(holds); e.Times.Original == holds.at || y != nil && y.again {
		return
	}
	if holds.again {
		a.turns = slices.DeleteFunc(a.turns, func(y *turn) bool { return y == holds })
	}
	a.correct(e, x)
	x.again, x.arrived = true, int64(a.clock)
	a.turns = append(a.turns, x)
}

// replace gives a turn the mode of an older one, and copies the older one's later
// events to it.
func (a *archive) replace(x, old *turn) {
	x.mode = old.mode
	x.events = append(x.events, x.at)
	for _, at := range old.events {
		if at > x.at {
			x.events = append(x.events, at)
		}
	}
	x.takeCold(old)
}

// takeCold copies the cold start of another session to x, if it is after x's beginning.
func (x *turn) takeCold(old *turn) {
	if (x.mode == Manual || x.mode == Automatic) && old.cold > x.at && old.cold > x.cold {
		x.cold, x.coldOwn, x.coldArrived = old.cold, old.coldOwn, old.coldArrived
	}
}

// join finds the automatic session of an event (E).
func (a *archive) join(e Event, holds, next *turn) *turn {
	if holds != nil && holds.mode == Automatic && a.alive(holds, e.Times.Original) {
		if !e.JoinOnly {
			holds.events = append(holds.events, e.Times.Original)
		}
		return holds
	}
	if next != nil && next.mode == Automatic && !next.said && a.alive(next, e.Times.Original) {
		if !e.JoinOnly {
			next.at, next.arrived = e.Times.Original, int64(a.clock)
			next.events = append(next.events, e.Times.Original)
		}
		return next
	}
	return nil
}

// identify is the turn of an event after a change of user (C).
func (a *archive) identify(e Event, x *turn) *turn {
	session := x.mode == Manual || x.mode == Automatic && !e.JoinOnly
	another := e.Kind == Identify && e.User != 0 && e.User != x.user && e.Times.Original >= x.userAt
	logout := e.LoggedOut && e.Times.Original > x.userAt && a.p.IdentifyReset != IdentifyResetNever
	if !session || x.user == 0 || !another && !logout {
		return x
	}
	for _, y := range a.turns {
		if y.identified && y.at > e.Times.Original {
			return x
		}
	}
	if another && !renews(a.p, e) {
		x.user, x.userAt = e.User, e.Times.Original
		return x
	}
	y := &turn{
		at: e.Times.Original, id: a.generate(e.Times.Original), cause: e.Message, user: e.User, userAt: e.Times.Original,
		identified: true, said: true,
	}
	a.replace(y, x)
	a.record(y)
	return y
}

// stamp answers an event of a turn (B).
func (a *archive) stamp(e Event, x *turn) Decision {
	switch {
	case x.mode == Ended:
		return Decision{Action: Clear}
	case x.mode == None:
		return keepOrClear(a.p)
	case x.mode == Automatic && e.JoinOnly:
		return Decision{Action: Stamp, SessionID: x.id}
	}
	if x.user == 0 {
		x.user, x.userAt = e.User, e.Times.Original
	}
	if x.owner == 0 {
		x.owner = e.Message
		for _, y := range a.turns { // the other part of a session that a late end has split
			if x.mode == Automatic && y.mode == Automatic && y.id == x.id {
				y.owner = e.Message
			}
		}
	}
	return Decision{Action: Stamp, SessionID: x.id, Start: x.owner == e.Message}
}

func TestAnyOrderAsTheContractReads(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		events := drawShuffled(t)
		a := archive{p: p}
		s := deliver(t, &p, events, func(i int, got Decision) {
			want := a.tell(events[i])
			if events[i].Kind == End {
				// F: whether an end is among the known ones is not visible in decisions.
				got.Repeated, want.Repeated = false, false
			}
			if got != want {
				t.Fatalf("%s\n got  %s\n want %s", brief(events[i]), show(got), show(want))
			}
		})
		// Compare the current session at every time.
		for at := base; at < base+250; at++ {
			want := int64(0)
			if x, _, _ := a.around(at); a.alive(x, at) {
				want = x.id
			}
			// An event before an automatic session may join it.
			if got := sessionAt(s, &p, at); got != want && (want != 0 || p.Automatic != AutomaticProxy) {
				t.Fatalf("at %d: got %d, want %d", at-base, got, want)
			}
		}
		want := int64(0)
		if x, _, _ := a.around(base + 250); a.alive(x, base+250) {
			want = x.id
		}
		if got := Current(s, base+250, &p); got != want {
			t.Fatalf("current: got %d, want %d", got, want)
		}
	})
}
