package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// Two independent implementations of the contract, neither of which has a timeline, are
// compared with Transition over random histories of one key.
//
// diary is for messages that arrive in the order in which they happened: one
// state, replaced as time goes on. Agreement is exact.
//
// archive is for messages that arrive in any order. It keeps every turn (a change to
// another mode or session) and every answer for ever, and searches all of them.
// Agreement is exact as well. But the order of arrival now differs from the order of
// time, and where the contract lets arrival decide, the archive does so too:
//
//	allowed difference to the same history in order     contract                       in archive
//	--------------------------------------------------------------------------------------------------------
//	A the eight newest turns are known; an event older   timeline is bounded            kept
//	  than those is untouched; a call older than those
//	  is answered, and forgotten
//	B the start mark is the first event's to arrive       the mark belongs to one        stamp
//	                                                      messageId, a retry has it again
//	C the user is the first to arrive; the identify of    first userId that it sees;     identify
//	  another, from before the user was seen, or before   older than the newest change
//	  any session that an identify began, changes nothing of user
//	D a late call changes its own stretch: turns that      late calls never change what   correct,
//	  calls, identifies and cold starts began after it     is current; manual overrides   record
//	  stay, and events that came before it are not asked   automatic
//	  again (one that would have ended its session did
//	  not). Only what was inferred from events in spite
//	  of it is dropped, with its mark.
//	E an automatic session is where its events were        ids that were sent are never   join
//	  when they came: a late one between two joins the     changed or merged
//	  earlier and does not merge them; a session that was
//	  cut short is as long as the cut is late
//	F of the ends of one ended stretch the first and the   ending twice is a no-op        end
//	  newest are known
//	G a retry of a message that began a turn or carries    a retry of that very event     turnOf
//	  a mark is in that turn, whatever came since; any
//	  other is answered as if it came for the first time
//	H of equal times the later arrival is newer            across requests the later      sorted
//	                                                       arrival belongs to the newer
//	I ids are unique among the turns that are known        every id in the timeline       generate

func drawEvent(t *rapid.T, at int64, message MessageID) Event {
	e := Event{Times: original(at), Message: message, User: UserID(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "user"))}
	switch rapid.SampledFrom(strings.Fields(
		"track track track track logout identify identify identify start start end reset cold sdk server",
	)).Draw(t, "kind") {
	case "track":
		e.HasSessionID = rapid.Bool().Draw(t, "own")
		e.Mobile = rapid.Bool().Draw(t, "mobile")
	case "logout":
		e.LoggedOut, e.User = true, 0
	case "identify":
		e.Kind = Identify
		e.Mobile = rapid.Bool().Draw(t, "mobile")
		e.Server = !e.Mobile && rapid.Bool().Draw(t, "server")
		e.JoinOnly = e.Server && rapid.Bool().Draw(t, "join only")
	case "start":
		e.Kind = Start
		// Chosen ids may equal ids that would be generated.
		e.ID = rapid.SampledFrom([]int64{0, 0, 0, 1111111111, 2222222222, base + 3, base + 9}).Draw(t, "id")
	case "end":
		e.Kind = End
	case "reset":
		e.Kind = Reset
	case "cold":
		e.ColdStart, e.Mobile = Opened, rapid.Bool().Draw(t, "mobile")
		e.Server = !e.Mobile && rapid.Bool().Draw(t, "server")
		e.JoinOnly = e.Server && rapid.Bool().Draw(t, "join only")
		e.HasSessionID = rapid.Bool().Draw(t, "own")
		e.HasSessionStart = e.HasSessionID && rapid.Bool().Draw(t, "opens")
	case "sdk":
		e.HasSessionID, e.HasSessionStart = true, true
		e.Mobile = rapid.Bool().Draw(t, "mobile")
	case "server":
		e.Server = true
		e.HasSessionStart = rapid.Bool().Draw(t, "opens")
		e.JoinOnly = rapid.Bool().Draw(t, "join only")
	}
	if e.Kind.Control() && rapid.IntRange(0, 3).Draw(t, "anonymous call") == 0 {
		e.Message = 0
	}
	return e
}

func drawPolicy(t *rapid.T, a AutomaticPolicy) Policy {
	return Policy{
		Automatic:     a,
		Timeout:       rapid.SampledFrom([]int64{2, 5, 10, 30}).Draw(t, "timeout"),
		Cutoff:        rapid.SampledFrom([]int64{0, 0, 3, 12, 40}).Draw(t, "cutoff"),
		IdentifyReset: rapid.SampledFrom([]IdentifyReset{IdentifyResetWeb, IdentifyResetAlways, IdentifyResetNever}).Draw(t, "identify_reset"),
	}
}

// drawOrdered makes a history that arrives in order. A repeat comes immediately after
// its original.
func drawOrdered(t *rapid.T) []Event {
	var events []Event
	at := base
	for range rapid.IntRange(1, 40).Draw(t, "messages") {
		n := len(events)
		if n > 0 && rapid.IntRange(0, 7).Draw(t, "again") == 0 {
			events = append(events, events[n-1])
			continue
		}
		at += rapid.SampledFrom([]int64{0, 0, 1, 1, 2, 3, 5, 6, 11, 31}).Draw(t, "step")
		events = append(events, drawEvent(t, at, MessageID(n+1)))
	}
	return events
}

// drawShuffled makes a history in which messages are late, repeated and sent
// again much later.
func drawShuffled(t *rapid.T) []Event {
	var events []Event
	span := rapid.SampledFrom([]int64{5, 20, 60, 200}).Draw(t, "span")
	late := rapid.SampledFrom([]int64{3, 20, 200}).Draw(t, "late")
	for range rapid.IntRange(1, 40).Draw(t, "messages") {
		n := len(events)
		if n > 0 && rapid.IntRange(0, 4).Draw(t, "again") == 0 {
			events = append(events, events[rapid.IntRange(0, n-1).Draw(t, "which")])
			continue
		}
		at := span*int64(n)/40 - rapid.Int64Range(0, late).Draw(t, "lateness")
		events = append(events, drawEvent(t, base+max(at, 0), MessageID(n+1)))
	}
	return events
}

// deliver sends a history in requests of one to five messages, and calls seen for each
// message. It checks what holds for every request. A repeated message is the first of
// its request, because the messages before one in its request affect its decision
// (see TestRequestsThatComeAgain).
func deliver(t *rapid.T, p *Policy, events []Event, seen func(i int, got Decision)) *Session {
	var s *Session
	now := base
	for i := 0; i < len(events); {
		n := min(rapid.IntRange(1, 5).Draw(t, "in one request"), len(events)-i)
		for j := 1; j < n; j++ {
			again := func(e Event) bool { return e.Message != 0 && e.Message == events[i+j].Message }
			if slices.ContainsFunc(events[:i+j], again) {
				n = j
			}
		}
		request := events[i : i+n]
		for _, e := range request {
			now = max(now, e.Times.Original)
		}
		s = apply(t, s, now, p, request, func(j int, d Decision) { seen(i+j, d) })
		if s != nil && !slices.IsSortedFunc(s.Segments, func(a, b Segment) int { return int(a.From.Time - b.From.Time) }) {
			t.Fatalf("timeline is out of order: %+v", s.Segments)
		}
		i += n
	}
	return s
}

// checkBecause checks that an explanation agrees with its decision.
func checkBecause(t *rapid.T, e *Event, d Decision, change Change) {
	allowed := map[Action][]Reason{
		Keep:  {LeftToSDK, NoSession, TooOld},
		Stamp: {InManualSession, InAutomaticSession},
		Clear: {AfterEnd, AutomaticIsOff},
	}[d.Action]
	if e.Kind.Control() {
		allowed = []Reason{Applied, NothingToDo, NotKept}
		if d.Repeated {
			allowed = []Reason{AppliedBefore}
		}
	}
	why := d.Because
	if !slices.Contains(allowed, why.Reason) {
		t.Fatalf("%+v because %v", d, why.Reason)
	}
	if (why.Began || why.Ended) && change == Unchanged {
		t.Fatalf("%+v, and nothing has changed", d)
	}
	if why.Began && (d.SessionID == 0 || e.Kind == End) || why.MarkedAgain && (!d.Start || why.Began) {
		t.Fatalf("nonsense: %+v", d)
	}
}

func apply(t *rapid.T, s *Session, now int64, p *Policy, body []Event, seen func(i int, got Decision)) *Session {
	before, policy, sent := s.Clone(), *p, slices.Clone(body)
	decisions := make([]Decision, len(body))
	next, change := Transition(s, request(now, p, body), decisions)
	t.Logf("request at %d", now-base)
	for j, d := range decisions {
		t.Logf("  %s -> %s", brief(body[j]), show(d))
	}
	if !sessiontest.Same(s, before) || *p != policy || !slices.Equal(sent, body) {
		t.Fatalf("an argument was changed")
	}
	again := make([]Decision, len(body))
	twin, sameChange := Transition(before, request(now, p, body), again)
	if !sessiontest.Same(next, twin) || change != sameChange || !slices.Equal(decisions, again) {
		t.Fatalf("asked twice, answered differently:\n %+v %v\n %+v %v", next, decisions, twin, again)
	}
	for j := range decisions {
		checkBecause(t, &body[j], decisions[j], change)
		decisions[j] = bare(decisions[j])
	}
	if (change == Unchanged) != (next == s) || change == Unchanged && s == nil && next != nil {
		t.Fatalf("change %d is not what came back", change)
	}
	if next == nil {
		for j, d := range decisions {
			seen(j, d)
		}
		return nil
	}
	if change != Unchanged && s != nil && next.Version <= s.Version {
		t.Fatalf("version went from %d to %d", s.Version, next.Version)
	}
	if len(next.Segments) > MaxSegments {
		t.Fatalf("timeline of %d segments", len(next.Segments))
	}
	for j, d := range decisions {
		if kind := body[j].Kind; kind.Control() && (d.Action != Keep || d.Start) || !kind.Control() && d.Repeated ||
			d.Action == Stamp && (d.SessionID < MinID || d.SessionID > MaxID) || d.Action == Clear && (d.SessionID != 0 || d.Start) {
			t.Fatalf("nonsense: %+v", d)
		}
		seen(j, d)
	}
	return next
}

// sessionAt is the session of an event at a time, unless the event begins one.
func sessionAt(s *Session, p *Policy, at int64) int64 {
	d := make([]Decision, 1)
	probe := Event{Times: original(at), Message: 1 << 60, Server: true, JoinOnly: true}
	Transition(s, request(base+1000, p, []Event{probe}), d)
	return d[0].SessionID
}

func brief(e Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s #%d @%d", [...]string{"event", "identify", "START", "END", "RESET"}[e.Kind], e.Message, e.Times.Original-base)
	if e.User != 0 {
		fmt.Fprintf(&b, " user %d", e.User)
	}
	if e.ID != 0 {
		fmt.Fprintf(&b, " id %d", e.ID)
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{e.ColdStart != NoColdStart, "cold"}, {e.HasSessionID, "sessionId"}, {e.HasSessionStart, "sessionStart"},
		{e.LoggedOut, "logged out"}, {e.Mobile, "mobile"}, {e.Server, "server"}, {e.JoinOnly, "join only"},
	} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	return b.String()
}

var automaticPolicies = map[string]AutomaticPolicy{"sdk": AutomaticSDK, "proxy": AutomaticProxy, "off": AutomaticOff}

// forEachPolicy checks a property as often for each automatic policy.
func forEachPolicy(t *testing.T, property func(t *rapid.T, p Policy)) {
	for name, a := range automaticPolicies {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) { property(t, drawPolicy(t, a)) }))
	}
}

// What both implementations share: rules that do not depend on the order.

// keepOrClear is the answer when there is no session.
func keepOrClear(p Policy) Decision {
	if p.Automatic == AutomaticOff {
		return Decision{Action: Clear}
	}
	return Decision{}
}

// shows reports whether an event alone proves that a manual session, or an ended state
// since a time, is over.
func shows(p Policy, e Event, ended bool, end int64) bool {
	restart := e.ColdStart != NoColdStart && !e.Server
	if restart && e.HasSessionID {
		return true
	}
	if !ended {
		return false
	}
	switch p.Automatic {
	case AutomaticSDK:
		web := !e.Mobile && !e.Server
		return web && e.HasSessionStart && e.Times.Original > end
	case AutomaticProxy:
		return restart || !e.Mobile && e.Times.Original-end > p.Timeout
	}
	return false
}

// renews reports whether the event's SDK begins a new session for a new user.
func renews(p Policy, e Event) bool {
	return p.IdentifyReset == IdentifyResetAlways || p.IdentifyReset == IdentifyResetWeb && !e.Mobile
}

// raise is the id that is generated at a time, given the ids in use.
func raise(at int64, used []int64) int64 {
	for slices.Contains(used, at) {
		at++
	}
	return at
}

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

// archive is one key's whole past.
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
	rest.at, rest.cause, rest.said, rest.inferred, rest.cold = old.cold, 0, false, false, 0
	rest.events = slices.DeleteFunc(slices.Clone(old.events), func(at int64) bool { return at < old.cold })
	if len(rest.events) == 0 {
		// The cold start was in a session that a late message has replaced by this one.
		// This one lasts no longer for it.
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

// Properties that need no second implementation.

// In a session that was begun by a call, exactly one event carries the mark, however
// often it is sent: the first to arrive.
func TestOneMarkForEachSession(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		events := distinct(drawShuffled(t))
		owner := map[int64]MessageID{}
		armed := map[MessageID]bool{}
		deliver(t, &p, events, func(i int, got Decision) {
			e := events[i]
			switch {
			case e.Kind.Control():
				// startSession with the same id begins the session anew.
				if e.ID != 0 && !got.Repeated && !armed[e.Message] {
					delete(owner, e.ID)
				}
				armed[e.Message] = e.Message != 0
			case got.Action != Stamp:
			case e.JoinOnly && !got.Start && p.Automatic == AutomaticProxy && owner[got.SessionID] == 0:
				// It joins an automatic session that began with a call.
			case owner[got.SessionID] == 0:
				if !got.Start {
					t.Fatalf("%s: the first event of session %d has no mark", brief(e), got.SessionID)
				}
				owner[got.SessionID] = e.Message
			case got.Start != (owner[got.SessionID] == e.Message):
				t.Fatalf("%s: the mark of session %d belongs to #%d", brief(e), got.SessionID, owner[got.SessionID])
			}
		})
	})
}

// distinct makes chosen ids, messageIds of calls and times of messages unique:
// otherwise one id can belong to several sessions at once.
func distinct(events []Event) []Event {
	n := int64(len(events))
	for i := range events {
		e := &events[i]
		if e.Message == 0 {
			e.Message = MessageID(i + 1)
		}
		e.Times.Original = base + (e.Times.Original-base)*n + int64(e.Message)%n
		if e.ID != 0 {
			e.ID = 1111111111 + int64(e.Message)
		}
	}
	return events
}

// A generated id differs from all ids, generated or chosen, that are in the timeline at
// that time.
func TestGeneratedIDsDiffer(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		events := drawShuffled(t)
		var s *Session
		for i, e := range events {
			before := map[int64]int{}
			if s != nil {
				for _, x := range s.Segments {
					before[x.ID]++
				}
			}
			s = apply(t, s, base+1000, &p, events[i:i+1], func(_ int, got Decision) {
				generated := e.Kind.Control() && e.ID == 0 && !got.Repeated && got.SessionID != 0
				if generated && before[got.SessionID] > 0 {
					t.Fatalf("%s: %d is in use", brief(e), got.SessionID)
				}
			})
			if s == nil || e.Kind == Start && e.ID != 0 {
				continue
			}
			after := map[int64]int{}
			for _, x := range s.Segments {
				if x.Mode == Automatic && x.Origin == ByRestart && before[x.ID] > 0 {
					continue // the rest of a session that a late call has split
				}
				if after[x.ID]++; x.ID != 0 && after[x.ID] > max(before[x.ID], 1) {
					t.Fatalf("%s: %d is there %d times", brief(e), x.ID, after[x.ID])
				}
			}
		}
	})
}

// A message that arrives again before any other gets the same answer, and changes
// nothing.
func TestAgainChangesNothing(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		events := drawShuffled(t)
		var s *Session
		for i, e := range events {
			var one Decision
			s = apply(t, s, base+1000, &p, events[i:i+1], func(_ int, got Decision) { one = got })
			if e.Message == 0 {
				continue // without a messageId each is new
			}
			same := apply(t, s, base+1000, &p, events[i:i+1], func(_ int, got Decision) {
				got.Repeated, one.Repeated = false, false
				if got != one {
					t.Fatalf("%s\n once  %+v\n again %+v", brief(e), one, got)
				}
			})
			if same != s {
				t.Fatalf("%s again: session went from\n %+v to\n %+v", brief(e), s, same)
			}
		}
	})
}

// Manual sessions alone do not depend on the order of arrival at all, as long as the
// timeline has room for them: the newest call before a time decides. (Except for middle
// ends of an ended segment, see F: the histories here have none that is forgotten.)
func TestManualSessionsInAnyOrder(t *testing.T) {
	forEachPolicy(t, func(t *rapid.T, p Policy) {
		n := rapid.IntRange(1, MaxSegments).Draw(t, "calls")
		var calls []Event
		ends := 0
		for i := range n {
			e := Event{Kind: Start, Times: original(base + 10*int64(i)), Message: MessageID(1 + i), ID: 1111111111 + int64(i)}
			// An ended segment remembers two ends only.
			if ends < 2 && rapid.Bool().Draw(t, "end") {
				e.Kind, e.ID = End, 0
				ends++
			}
			calls = append(calls, e)
		}
		s := deliver(t, &p, rapid.Permutation(calls).Draw(t, "arrival"), func(int, Decision) {})
		// The first times after a call, one in between, and the last.
		within := rapid.Int64Range(2, 8).Draw(t, "within")
		for i := range 4 * n {
			call := calls[i/4]
			at := base + 10*int64(i/4) + []int64{0, 1, within, 9}[i%4]
			e := Event{Times: original(at), Message: 100, Mobile: true}
			want := Decision{Action: Stamp, SessionID: call.ID, Start: true}
			if call.Kind == End {
				want = Decision{Action: Clear}
			}
			apply(t, s, base+1000, &p, []Event{e}, func(_ int, got Decision) {
				if got != want {
					t.Fatalf("at %d: got %+v, want %+v", at-base, got, want)
				}
			})
		}
	})
}
