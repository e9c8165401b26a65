package session_test

import (
	"slices"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// archive is one key's whole past. How it answers a message is in archivedecisions_test.go.
type archive struct {
	p     Policy
	turns []*turn // in order of arrival
	clock int     // messages that arrived
	// forgotten: there were earlier turns, which are forgotten.
	forgotten bool
	// nothing are the resets that had nothing to reset.
	nothing []MessageID
}

// turn is the beginning of a time with one mode and one session.
type turn struct {
	at, arrived int64
	mode        Mode
	id          int64
	cause       MessageID // of the message that began it
	owner       MessageID // of the event that carries the start mark
	user        UserID
	userAt      int64
	identified  bool
	// said: a call or an identify began it, so that no earlier event belongs to it.
	said bool
	// inferred: an event began it because no manual session was known, or because an
	// end was known. That does not include cold starts.
	inferred bool
	lost     bool // forgotten
	// events are the times of an automatic session's events.
	events []int64
	// cold is the newest cold start in an automatic session, after its beginning; 0
	// for none. coldOwn: it came with a session id of the SDK's own.
	cold        int64
	coldOwn     bool
	coldArrived int64
	// again: it is an end of an already ended state. It does not count among the known
	// turns until another turn separates it from the first end.
	again bool
}

func (a *archive) sorted() []*turn {
	turns := slices.Clone(a.turns)
	slices.SortFunc(turns, func(x, y *turn) int {
		if x.at != y.at {
			return int(x.at - y.at)
		}
		return int(x.arrived - y.arrived)
	})
	return turns
}

// kept returns the known turns.
func (a *archive) kept() []*turn {
	return slices.DeleteFunc(a.sorted(), func(x *turn) bool { return x.lost })
}

func places(turns []*turn) (n int) {
	for _, x := range turns {
		if !x.again {
			n++
		}
	}
	return n
}

// around is the turn that holds at a time and the one after it; nil if there is none.
// forgotten: the time is before all known turns.
func (a *archive) around(at int64) (holds, next *turn, forgotten bool) {
	for _, x := range a.kept() {
		if x.at > at {
			return holds, x, holds == nil && a.forgotten
		}
		holds = x
	}
	return holds, nil, false
}

func (a *archive) after(x *turn) *turn {
	turns := a.sorted()
	if i := slices.Index(turns, x) + 1; i < len(turns) {
		return turns[i]
	}
	return nil
}

// record adds a turn (A, D), and reports whether it is known afterwards.
func (a *archive) record(x *turn) bool {
	x.arrived = int64(a.clock)
	known := a.kept()
	if len(known) > 0 && x.at < known[0].at && (a.forgotten || places(known) == MaxSegments) {
		a.forgotten = true
		return false
	}
	holds, _, _ := a.around(x.at)
	a.turns = append(a.turns, x)
	if y := a.after(x); y != nil {
		y.again = false
	}
	if holds != nil && holds.cold > x.at {
		if rest := sinceCold(holds, x); rest != nil {
			a.turns = append(a.turns, rest)
		} else {
			x.takeCold(holds)
		}
		holds.cold = 0
	}
	for known = a.kept(); places(known) > MaxSegments || known[0].again; known = a.kept() {
		known[0].lost, a.forgotten = true, true
	}
	return !x.lost
}

// correct drops those turns right after a call that would not exist if the call had
// been known (D): turns inferred in spite of a start, or within the timeout after an
// end.
func (a *archive) correct(e Event, by *turn) {
	for {
		_, next, forgotten := a.around(e.Times.Original)
		if next == nil || forgotten || !next.inferred ||
			e.Kind == End && (next.mode != Automatic || next.at-e.Times.Original > a.p.Timeout) {
			return
		}
		if rest := sinceCold(next, by); rest != nil {
			*next = *rest
			return
		}
		by.takeCold(next)
		a.turns = slices.DeleteFunc(a.turns, func(x *turn) bool { return x == next })
	}
}

func (a *archive) noteCold(x *turn, e Event) {
	cold := e.ColdStart != NoColdStart && !e.Server && !e.JoinOnly
	if cold && e.Times.Original > x.at && e.Times.Original > x.cold {
		x.cold, x.coldOwn, x.coldArrived = e.Times.Original, e.HasSessionID, int64(a.clock)
	}
}

// sinceCold is the part of an automatic session after its cold start, which a call from
// before it does not affect (D); nil for none.
func sinceCold(old, by *turn) *turn {
	if old.cold <= by.at || by.mode != Ended && !(by.mode == Manual && old.coldOwn) {
		return nil
	}
	if old.mode == Manual {
		if by.mode != Ended {
			return nil
		}
		return &turn{at: old.cold, arrived: old.coldArrived, mode: None}
	}
	rest := *old
	rest.arrived = old.coldArrived
	rest.at, rest.cause, rest.said, rest.inferred, rest.identified, rest.cold = old.cold, 0, false, false, false, 0
	rest.events = slices.DeleteFunc(slices.Clone(old.events), func(at int64) bool { return at < old.cold })
	if len(rest.events) == 0 {
		// The cold start was in a session that a late message has replaced by this one. It
		// does not extend this one.
		rest.events = append(rest.events, slices.Max(old.events))
	}
	return &rest
}

func (a *archive) generate(at int64) int64 {
	var used []int64
	for _, x := range a.kept() {
		used = append(used, x.id)
	}
	return raise(at, used)
}

// turnOf is the turn that a message began or whose mark it carries (G).
func (a *archive) turnOf(e Event) *turn {
	var began *turn
	for _, x := range a.kept() {
		switch {
		case e.Message == 0:
		case !e.Kind.Control() && x.owner == e.Message:
			return x
		case x.cause == e.Message:
			began = x
		}
	}
	return began
}

// span is the time from an automatic session's first event to its last event, or to the
// turn that cut the session short.
func (a *archive) span(x *turn) (from, last int64) {
	last = slices.Max(x.events)
	if next := a.after(x); next != nil {
		last = min(last, next.at)
	}
	return x.at, last
}

// within reports whether an event at a time may join a session that lasts from one time
// to another.
func (a *archive) within(from, last, at int64) bool {
	near := at >= from-a.p.Timeout && at <= last+a.p.Timeout
	length := max(last, at) - min(from, at)
	return from <= at && at <= last || near && (a.p.Cutoff == 0 || length <= a.p.Cutoff)
}

func (a *archive) alive(x *turn, at int64) bool {
	if x == nil || x.mode != Automatic {
		return x != nil && x.mode == Manual
	}
	from, last := a.span(x)
	return a.within(from, last, at)
}
