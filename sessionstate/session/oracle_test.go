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

// drawKind draws the kinds of events, frequent ones more often.
var drawKind = rapid.SampledFrom(strings.Fields(
	"track track track track logout identify identify identify start start end reset cold sdk server",
))

func drawEvent(t *rapid.T, at int64, message MessageID) Event {
	e := Event{Times: original(at), Message: message, User: UserID(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "user"))}
	switch drawKind.Draw(t, "kind") {
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
		Clear: {AfterEnd, AutomaticIsOff, TooOldCleared},
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
	for j := range decisions {
		t.Logf("  %s", answer{&body[j], &decisions[j]})
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

// answer is a message with its decision. Unlike a text, it takes no time in those checks
// that rapid does not log, which are nearly all.
type answer struct {
	event    *Event
	decision *Decision
}

func (a answer) String() string { return brief(*a.event) + " -> " + show(*a.decision) }

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
