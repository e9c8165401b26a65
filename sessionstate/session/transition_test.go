package session_test

import (
	"math"
	"reflect"
	"slices"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

const (
	nobody UserID = iota
	alice
	bob
	carol
)

// key is the session of one key in a test. After every request it checks what must
// always hold: Transition has not changed its argument, and the result is a valid
// timeline.
type key struct {
	t      *testing.T
	p      Policy
	s      *Session
	now    int64
	next   MessageID
	change Change
	// because has the explanations of the last decisions.
	because []Because
}

func newKey(t *testing.T, p Policy) *key {
	if p.Timeout == 0 {
		p.Timeout = 30 * minute
	}
	return &key{t: t, p: p, now: t0 + day}
}

func (k *key) event(kind Kind, at int64) Event {
	k.next++
	return Event{Kind: kind, Times: original(at), Message: k.next}
}

func (k *key) track(at int64) Event { return k.event(Other, at) }
func (k *key) end(at int64) Event   { return k.event(End, at) }
func (k *key) reset(at int64) Event { return k.event(Reset, at) }

func (k *key) start(at, id int64) Event {
	e := k.event(Start, at)
	e.ID = id
	return e
}

func (k *key) identify(at int64, u UserID) Event { return by(k.event(Identify, at), u) }

// coldStart is a mobile app's "Application Opened"; own says that the SDK sent
// a sessionId with it.
func (k *key) coldStart(at int64, own bool) Event {
	e := k.track(at)
	e.Mobile, e.ColdStart, e.HasSessionID = true, Opened, own
	return e
}

// sdkStart is the event with which a web SDK opens an automatic session.
func (k *key) sdkStart(at int64) Event {
	e := k.track(at)
	e.HasSessionID, e.HasSessionStart = true, true
	return e
}

func by(e Event, u UserID) Event  { e.User = u; return e }
func mobile(e Event) Event        { e.Mobile = true; return e }
func server(e Event) Event        { e.Server = true; return e }
func joinOnly(e Event) Event      { e.Server, e.JoinOnly = true, true; return e }
func withSDKFields(e Event) Event { e.HasSessionID, e.HasSessionStart = true, true; return e }

var (
	untouched = Decision{}
	cleared   = Decision{Action: Clear}
)

func first(id int64) Decision    { return Decision{Action: Stamp, SessionID: id, Start: true} }
func stamped(id int64) Decision  { return Decision{Action: Stamp, SessionID: id} }
func answered(id int64) Decision { return Decision{SessionID: id} }
func repeated(id int64) Decision { return Decision{SessionID: id, Repeated: true} }

// send delivers one request.
func (k *key) send(events ...Event) []Decision {
	k.t.Helper()
	before, body := k.s.Clone(), slices.Clone(events)
	decisions := make([]Decision, len(events))
	s, change := Transition(k.s, request(k.now, &k.p, events), decisions)
	if !reflect.DeepEqual(k.s, before) {
		k.t.Errorf("the session that went in was changed:\n was %+v\n is  %+v", before, k.s)
	}
	if !slices.Equal(events, body) {
		k.t.Errorf("the events that went in were changed: %+v", events)
	}
	if (s == k.s) != (change == Unchanged) {
		k.t.Errorf("change %d, but same session: %v", change, s == k.s)
	}
	if change != Unchanged {
		if k.s != nil && s.Version <= k.s.Version {
			k.t.Errorf("version went from %d to %d", k.s.Version, s.Version)
		}
		if !slices.IsSortedFunc(s.Segments, func(a, b Segment) int { return int(a.From.Time - b.From.Time) }) {
			k.t.Errorf("timeline is out of order: %+v", s.Segments)
		}
		if len(s.Segments) > MaxSegments {
			k.t.Errorf("timeline of %d segments", len(s.Segments))
		}
	}
	k.s, k.change = s, change
	return k.explained(decisions)
}

// explained moves the explanations of decisions to k.because.
func (k *key) explained(decisions []Decision) []Decision {
	k.because = k.because[:0]
	for i := range decisions {
		k.because = append(k.because, decisions[i].Because)
		decisions[i] = bare(decisions[i])
	}
	return decisions
}

// want delivers one request and compares its decisions.
func (k *key) want(want []Decision, events ...Event) {
	k.t.Helper()
	if got := k.send(events...); !slices.Equal(got, want) {
		k.t.Errorf("at %+d ms:\n got  %s\n want %s", events[0].Times.Original-t0, showAll(got), showAll(want))
	}
}

// is sends one message alone, and compares its decision.
func (k *key) is(e Event, want Decision) {
	k.t.Helper()
	k.want([]Decision{want}, e)
}

// unchanged sends one message that must not change anything.
func (k *key) unchanged(e Event, want Decision) {
	k.t.Helper()
	k.is(e, want)
	if k.change != Unchanged {
		k.t.Errorf("at %+d ms: changed (%d) to %+v", e.Times.Original-t0, k.change, k.s)
	}
}

// current checks the current session at a time.
func (k *key) current(at, want int64) {
	k.t.Helper()
	if got := sessionAt(k.s, &k.p, at); got != want {
		k.t.Errorf("at %+d ms in session %d, want %d", at-t0, got, want)
	}
}

func (k *key) currentNow(want int64) {
	k.t.Helper()
	if got := Current(k.s, k.now, &k.p); got != want {
		k.t.Errorf("current: %d, want %d", got, want)
	}
}

// everyPolicy checks a rule that holds with every automatic policy.
func everyPolicy(t *testing.T, rule func(t *testing.T, p Policy)) {
	for name, a := range map[string]AutomaticPolicy{"sdk": AutomaticSDK, "proxy": AutomaticProxy, "off": AutomaticOff} {
		t.Run(name, func(t *testing.T) { rule(t, Policy{Automatic: a}) })
	}
}

// Control calls.

func TestStartStampsTheEventsAfterIt(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := newKey(t, p)
		k.is(k.start(t0, 1732349999), answered(1732349999))
		if k.change != WriteThrough {
			t.Errorf("change is %d: the call would not be durable", k.change)
		}
		k.is(k.track(t0+1), first(1732349999))
		k.unchanged(k.track(t0+2), stamped(1732349999))
		k.unchanged(withSDKFields(k.track(t0+3)), stamped(1732349999))
		// No idle timeout.
		k.now += 300 * day
		k.unchanged(k.track(t0+300*day), stamped(1732349999))
	})
}

func TestStartGeneratesItsTime(t *testing.T) {
	k := newKey(t, Policy{})
	k.is(k.start(t0, 0), answered(t0))
	k.is(k.track(t0), first(t0))
}

func TestGeneratedIDsAreUniqueInTheTimeline(t *testing.T) {
	k := newKey(t, Policy{})
	k.is(k.start(t0, t0+1), answered(t0+1)) // chosen by the application
	k.is(k.start(t0, 0), answered(t0))
	k.is(k.start(t0, 0), answered(t0+2))
	k.is(k.start(t0+2, 0), answered(t0+3))
	k.want([]Decision{answered(t0 + 4), answered(t0 + 5)}, k.start(t0+3, 0), k.reset(t0+3))
}

func TestGeneratedIDsAreValidWhateverTheTime(t *testing.T) {
	for _, at := range []int64{0, 1, -62_135_596_800_000, MinID - 1, MinID, MaxID - 1, MaxID, MaxID + 1, math.MaxInt64 / 2, math.MinInt64 / 2} {
		k := newKey(t, Policy{})
		ids := map[int64]bool{}
		for range 3 * MaxSegments {
			id := k.send(k.start(at, 0))[0].SessionID
			if id < MinID || id > MaxID {
				t.Errorf("time %d: id %d", at, id)
			}
			ids[id] = true
			seen := map[int64]bool{}
			for _, s := range k.s.Segments {
				if seen[s.ID] {
					t.Errorf("time %d: id %d is twice in the timeline", at, s.ID)
				}
				seen[s.ID] = true
			}
		}
		if len(ids) < MaxSegments {
			t.Errorf("time %d: %d different ids", at, len(ids))
		}
	}
}

func TestSameIDArmsTheMarkAgain(t *testing.T) {
	k := newKey(t, Policy{})
	k.is(k.start(t0, 1111111111), answered(1111111111))
	one := k.track(t0 + 1)
	k.is(one, first(1111111111))
	k.is(k.start(t0+2, 1111111111), answered(1111111111))
	k.is(k.track(t0+3), first(1111111111))
	k.unchanged(k.track(t0+4), stamped(1111111111))
	k.unchanged(one, first(1111111111))
}

func TestEndClearsTheEventsAfterIt(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := newKey(t, p)
		k.send(k.start(t0, 1111111111), k.track(t0+1))
		k.is(k.end(t0+2), answered(0))
		if k.change != WriteThrough {
			t.Errorf("change is %d: the call would not be durable", k.change)
		}
		k.unchanged(k.track(t0+3), cleared)
		k.unchanged(server(withSDKFields(k.track(t0+4))), cleared)
		k.is(k.end(t0+5), answered(0))
		k.unchanged(k.track(t0+4), cleared)
		k.unchanged(k.track(t0+5), cleared)
	})
}

func TestEndOfNothingEnds(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := newKey(t, p)
		k.is(k.end(t0), answered(0))
		k.unchanged(k.track(t0+1), cleared)
	})
}

func TestStartAfterEnd(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111), k.end(t0+1), k.start(t0+2, 0))
	k.is(k.track(t0+3), first(t0+2))
}

func TestResetRenewsAManualSession(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := newKey(t, p)
		k.send(k.start(t0, 1111111111), k.track(t0+1))
		k.is(k.reset(t0+2), answered(t0+2))
		k.is(k.track(t0+3), first(t0+2))
		k.unchanged(k.track(t0+4), stamped(t0+2))
	})
}

func TestResetLeavesAnEndedOrAbsentOne(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := newKey(t, p)
		none := k.reset(t0)
		k.is(none, answered(0))
		k.send(k.start(t0+1, 0))
		// It is recognized when it is delivered again, and changes nothing either.
		k.unchanged(none, repeated(0))
		k.send(k.end(t0 + 2))
		ended := k.reset(t0 + 3)
		k.is(ended, answered(0))
		k.unchanged(ended, repeated(0))
		k.unchanged(k.track(t0+4), cleared)
		// A reset without a messageId is not remembered.
		k.unchanged(Event{Kind: Reset, Times: original(t0 + 5)}, answered(0))
	})
}

func TestOrderInTheBodyCounts(t *testing.T) {
	k := newKey(t, Policy{})
	k.want([]Decision{untouched, answered(1111111111), first(1111111111), stamped(1111111111), answered(0), cleared},
		k.track(t0), k.start(t0, 1111111111), k.track(t0), k.track(t0), k.end(t0), k.track(t0))
}

func TestLaterArrivalBelongsToTheNewerSegment(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111))
	k.send(k.start(t0, 2222222222))
	k.is(k.track(t0), first(2222222222))
	k.send(k.end(t0))
	k.is(k.track(t0), cleared)
}

func TestRepeatedControlCallAnswersTheSame(t *testing.T) {
	k := newKey(t, Policy{})
	start, chosen, reset, end := k.start(t0, 0), k.start(t0+2, 1111111111), k.reset(t0+4), k.end(t0+6)
	k.send(start, k.track(t0+1), chosen, k.track(t0+3), reset, k.track(t0+5), end)
	for range 2 {
		k.unchanged(start, repeated(t0))
		k.unchanged(chosen, repeated(1111111111))
		k.unchanged(reset, repeated(t0+4))
		k.unchanged(end, repeated(0))
	}
	k.unchanged(k.track(t0+7), cleared)
}

func TestControlCallWithoutMessageIDIsNewEachTime(t *testing.T) {
	k := newKey(t, Policy{})
	start := Event{Kind: Start, Times: original(t0)}
	k.is(start, answered(t0))
	k.is(start, answered(t0+1))
	k.is(k.track(t0), first(t0+1))
	// A free mark does not equal a missing messageId.
	k.send(k.start(t0+1, 0))
	k.is(start, answered(t0+3))
}

func TestRepeatAfterItsSegmentIsGoneIsNew(t *testing.T) {
	k := newKey(t, Policy{})
	end := k.end(t0)
	k.send(end)
	for i := range int64(MaxSegments) {
		k.send(k.start(t0+1+i, 0))
	}
	k.unchanged(end, answered(0))
	if got := k.send(k.track(t0 + hour)); got[0] != first(t0+MaxSegments) {
		t.Errorf("got %+v", got)
	}
}

// Time.

func TestEventTakesTheSegmentOfItsMoment(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111), k.end(t0+100), k.start(t0+200, 2222222222))
	k.is(k.track(t0+250), first(2222222222))
	k.unchanged(k.track(t0+150), cleared)
	k.is(k.track(t0+50), first(1111111111))
	k.unchanged(k.track(t0+99), stamped(1111111111))
	k.unchanged(k.track(t0-1), untouched)
	k.unchanged(k.track(t0+200), stamped(2222222222))
}

func TestEventBeforeTheFirstSegmentIsInNone(t *testing.T) {
	for a, want := range map[AutomaticPolicy]Decision{
		AutomaticSDK: untouched, AutomaticOff: cleared, AutomaticProxy: first(t0 - hour),
	} {
		k := newKey(t, Policy{Automatic: a})
		k.send(k.start(t0, 1111111111))
		k.is(k.track(t0-hour), want)
		k.is(k.track(t0+1), first(1111111111))
	}
}

// A second end changes nothing for events, but it ends a session whose start arrives
// later and was made before it.
func TestEndThatOvertookItsStartWhileEnded(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := newKey(t, p)
		again := k.end(t0 + 50)
		k.send(k.end(t0), again)
		k.unchanged(again, repeated(0))
		k.unchanged(k.end(t0+40), answered(0))
		k.is(k.start(t0+20, 1111111111), answered(1111111111))
		k.current(t0+60, 0)
		k.unchanged(again, repeated(0))
		k.unchanged(k.track(t0+10), cleared)
		k.is(k.track(t0+30), first(1111111111))
		k.unchanged(k.track(t0+50), cleared)
		k.unchanged(k.track(t0+60), cleared)
		// The result is the same as in the order of the calls.
		k.is(k.start(t0+60, 2222222222), answered(2222222222))
		k.is(k.track(t0+60), first(2222222222))
	})
}

func TestEndThatOvertookItsStartInAFullTimeline(t *testing.T) {
	for at := range int64(MaxSegments) {
		// The ended segment is the at-th of a full timeline.
		k := newKey(t, Policy{})
		for i := range int64(MaxSegments) {
			if i != at {
				k.send(k.start(t0+10*i, 0))
				continue
			}
			k.send(k.end(t0+10*i), k.end(t0+10*i+8))
		}
		k.send(k.start(t0+10*at+4, 1111111111))
		if len(k.s.Segments) != MaxSegments || !k.s.Truncated {
			t.Fatalf("%d: session %+v", at, k.s)
		}
		k.unchanged(k.track(t0+10*at+9), cleared)
		switch {
		case at == 0:
			// There is room for the newer of the two.
			k.unchanged(k.track(t0+5), untouched)
		default:
			k.is(k.track(t0+10*at+5), first(1111111111))
		}
		if at > 1 {
			k.unchanged(k.track(t0+10*at+3), cleared)
		}
		if at < MaxSegments-1 {
			k.is(k.track(newest), first(newest))
		}
	}
}

// newest is when the last session of a full timeline begins.
const newest = t0 + 10*(MaxSegments-1)

// full is a key whose timeline holds the sessions t0, t0+10 and so on to newest.
func full(t *testing.T, p Policy) *key {
	k := newKey(t, p)
	for i := range int64(MaxSegments) {
		k.send(k.start(t0+10*i, 0))
	}
	if len(k.s.Segments) != MaxSegments || k.s.Truncated {
		t.Fatalf("session %+v", k.s)
	}
	return k
}

// unknown answers an event that is older than what is remembered.
func unknown(p Policy) Decision {
	if p.Automatic == AutomaticOff {
		return cleared
	}
	return untouched
}

func TestFullTimelineForgetsTheOldest(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := full(t, p)
		k.send(k.start(newest+10, 0))
		if !k.s.Truncated || len(k.s.Segments) != MaxSegments {
			t.Fatalf("session %+v", k.s)
		}
		// Nothing is known about that time, so such events are untouched. With automatic
		// off, a session that is not remembered does not exist, so they are cleared.
		k.unchanged(k.track(t0+9), unknown(p))
		k.unchanged(k.track(t0-1), unknown(p))
		k.unchanged(k.sdkStart(t0), unknown(p))
		k.is(k.track(t0+10), first(t0+10))
		k.is(k.track(newest+10), first(newest+10))
	})
}

func TestLateControlCallInAFullTimeline(t *testing.T) {
	k := full(t, Policy{})
	k.is(k.end(t0+35), answered(0))
	if len(k.s.Segments) != MaxSegments || !k.s.Truncated {
		t.Fatalf("session %+v", k.s)
	}
	k.unchanged(k.track(t0+5), untouched)
	k.is(k.track(t0+15), first(t0+10))
	k.is(k.track(t0+34), first(t0+30))
	k.unchanged(k.track(t0+36), cleared)
	k.is(k.track(t0+45), first(t0+40))
	k.current(newest+100, newest)
}

func TestControlCallThatDoesNotFit(t *testing.T) {
	k := full(t, Policy{})
	k.is(k.start(t0-10, 1111111111), answered(1111111111))
	k.unchanged(k.start(t0-10, 0), answered(t0-10))
	k.unchanged(k.end(t0-10), answered(0))
	k.is(k.reset(t0-10), answered(0))
	k.unchanged(k.track(t0-5), untouched)
	k.current(newest+100, newest)
}

// Between two ends that are the oldest of a full timeline there is only room for the
// second of them.
func TestRestartThatDoesNotFit(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := newKey(t, p)
		k.send(k.end(t0), k.end(t0+8))
		for i := range int64(MaxSegments - 1) {
			k.send(k.start(t0+10+10*i, 0))
		}
		open := k.coldStart(t0+4, true)
		k.is(open, unknown(p))
		k.unchanged(open, unknown(p))
		k.unchanged(k.track(t0+9), cleared)
		k.is(k.track(t0+10), first(t0+10))
	})
}

func TestAutomaticSessionThatDoesNotFit(t *testing.T) {
	k := full(t, Policy{Automatic: AutomaticProxy})
	k.is(k.track(t0-1), untouched)
	k.unchanged(k.track(t0-1), untouched)
}

// The start mark.

func TestMarkBelongsToOneMessage(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111))
	// The first to arrive, not the first by time.
	one := k.track(t0 + 50)
	k.is(one, first(1111111111))
	k.unchanged(k.track(t0+10), stamped(1111111111))
	k.unchanged(one, first(1111111111))
	k.send(k.end(t0 + 60))
	k.unchanged(one, first(1111111111))
	// Even if a late call has moved its time into another session.
	k.send(k.start(t0+40, 2222222222))
	k.unchanged(one, first(1111111111))
	k.is(k.track(t0+50), first(2222222222))
}

func TestReleaseFreesTheMark(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111))
	one, two := k.track(t0+1), k.track(t0+2)
	k.is(one, first(1111111111))
	k.unchanged(two, stamped(1111111111))

	before := k.s.Clone()
	for name, s := range map[string]*Session{
		"another message": Release(k.s, two.Message, 1111111111),
		"another session": Release(k.s, one.Message, 2222222222),
		"no message":      Release(k.s, 0, 1111111111),
	} {
		if s != k.s {
			t.Errorf("%s: the session was changed", name)
		}
	}
	if Release(nil, one.Message, 1111111111) != nil {
		t.Error("released a session out of nothing")
	}

	freed := Release(k.s, one.Message, 1111111111)
	if !reflect.DeepEqual(k.s, before) {
		t.Errorf("the session that went in was changed: %+v", k.s)
	}
	if freed.Version <= k.s.Version {
		t.Errorf("version went from %d to %d", k.s.Version, freed.Version)
	}
	k.s = freed
	if Release(k.s, one.Message, 1111111111) != k.s {
		t.Error("freed twice")
	}
	k.is(two, first(1111111111))
	k.unchanged(one, stamped(1111111111))
}

// A late end splits a session at a cold start. The two parts have the same id, and so
// one event with the mark, even after it was freed.
func TestReleaseInASessionInTwoParts(t *testing.T) {
	k := proxy(t)
	one := mobile(k.track(t0))
	k.is(one, first(t0))
	k.is(k.coldStart(t0+2*minute, false), stamped(t0))
	k.is(k.end(t0+minute), answered(0))
	k.s = Release(k.s, one.Message, t0)
	k.is(mobile(k.track(t0+second)), first(t0))
	k.is(mobile(k.track(t0+3*minute)), stamped(t0))
}

func TestReleaseOfAnIdentifyThatBeganASession(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111), by(k.track(t0+1), alice))
	login := k.identify(t0+2, bob)
	k.is(login, first(t0+2))
	k.s = Release(k.s, login.Message, t0+2)
	k.is(k.track(t0+3), first(t0+2))
	k.unchanged(login, stamped(t0+2))
}

// Identify.

func TestIdentifyWithAnotherUserBeginsASession(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111), by(k.track(t0+1), alice))
	k.unchanged(k.identify(t0+2, alice), stamped(1111111111))
	k.unchanged(k.identify(t0+2, nobody), stamped(1111111111))
	login := k.identify(t0+3, bob)
	k.is(login, first(t0+3))
	k.unchanged(k.track(t0+4), stamped(t0+3))
	k.unchanged(login, first(t0+3))
	k.unchanged(k.track(t0+2), stamped(1111111111))
	k.current(t0+5, t0+3)
}

func TestOnlyIdentifyChangesTheUser(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111), by(k.track(t0+1), alice))
	k.unchanged(by(k.track(t0+2), bob), stamped(1111111111))
	k.unchanged(k.identify(t0+3, alice), stamped(1111111111))
}

func TestIdentifyBeginsNoneWhereNoneIs(t *testing.T) {
	k := newKey(t, Policy{})
	k.unchanged(k.identify(t0, alice), untouched)
	k.send(by(k.start(t0+1, 0), alice), k.end(t0+2))
	k.unchanged(k.identify(t0+3, bob), cleared)
}

func TestIdentifyOlderThanTheChangeOfUser(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(by(k.start(t0, 1111111111), alice), k.track(t0))
	k.send(k.identify(t0+10, bob))
	k.unchanged(k.identify(t0+5, carol), stamped(1111111111))
	// Nor if another session was current.
	k.send(k.start(t0-10, 2222222222))
	k.send(by(k.track(t0-9), alice))
	k.unchanged(k.identify(t0-5, bob), stamped(2222222222))
	k.current(t0+20, t0+10)
	// A newer one does.
	k.is(k.identify(t0+20, alice), first(t0+20))
}

func TestLateIdentifyInAPastSession(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(by(k.start(t0, 1111111111), alice), k.track(t0))
	k.send(k.start(t0+100, 2222222222), k.track(t0+100))
	k.is(k.identify(t0+50, bob), first(t0+50))
	k.unchanged(k.track(t0+60), stamped(t0+50))
	k.unchanged(k.track(t0+101), stamped(2222222222))
}

func TestIdentifyReset(t *testing.T) {
	for _, c := range []struct {
		name   string
		reset  IdentifyReset
		mobile bool
		begins bool
	}{
		{"web, web", IdentifyResetWeb, false, true},
		{"web, mobile", IdentifyResetWeb, true, false},
		{"always, web", IdentifyResetAlways, false, true},
		{"always, mobile", IdentifyResetAlways, true, true},
		{"never, web", IdentifyResetNever, false, false},
		{"never, mobile", IdentifyResetNever, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKey(t, Policy{IdentifyReset: c.reset})
			k.send(by(k.start(t0, 1111111111), alice), k.track(t0))
			login := k.identify(t0+1, bob)
			login.Mobile = c.mobile
			if c.begins {
				k.is(login, first(t0+1))
				return
			}
			k.is(login, stamped(1111111111))
			k.unchanged(login, stamped(1111111111))
			// The user did change.
			k.p.IdentifyReset = IdentifyResetAlways
			k.unchanged(k.identify(t0+2, bob), stamped(1111111111))
			k.is(k.identify(t0+3, alice), first(t0+3))
		})
	}
}

// Restarts.

func TestMobileColdStartWithItsOwnSession(t *testing.T) {
	for a, want := range map[AutomaticPolicy]Decision{AutomaticSDK: untouched, AutomaticOff: cleared} {
		for _, ended := range []bool{false, true} {
			k := newKey(t, Policy{Automatic: a})
			k.send(k.start(t0, 1111111111), k.track(t0))
			if ended {
				k.send(k.end(t0 + 5))
			}
			open := k.coldStart(t0+10, true)
			k.is(open, want)
			k.unchanged(open, want)
			k.unchanged(mobile(k.track(t0+11)), want)
			k.current(t0+11, 0)
			k.unchanged(k.track(t0+4), stamped(1111111111))
		}
	}
}

func TestMobileColdStartWithoutASessionOfItsOwn(t *testing.T) {
	for _, a := range []AutomaticPolicy{AutomaticSDK, AutomaticOff} {
		k := newKey(t, Policy{Automatic: a})
		k.send(k.start(t0, 1111111111), k.track(t0))
		k.unchanged(k.coldStart(t0+10, false), stamped(1111111111))
		k.send(k.end(t0 + 20))
		k.unchanged(k.coldStart(t0+30, false), cleared)
	}
}

func TestColdStartInProxyMode(t *testing.T) {
	k := newKey(t, Policy{Automatic: AutomaticProxy})
	k.send(k.start(t0, 1111111111), k.track(t0))
	k.is(k.coldStart(t0+10, false), stamped(1111111111))
	open := k.coldStart(t0+20, true)
	k.is(open, first(t0+20))
	k.unchanged(open, first(t0+20))
	k.is(k.track(t0+21), stamped(t0+20))
	// After the end any cold start will do, and nothing else on mobile.
	k.send(k.end(t0 + 30))
	k.unchanged(mobile(k.track(t0+30+day/2)), cleared)
	k.is(k.coldStart(t0+40+day/2, false), first(t0+40+day/2))
}

func TestServersDoNotRestart(t *testing.T) {
	everyPolicy(t, func(t *testing.T, p Policy) {
		k := newKey(t, p)
		k.send(k.start(t0, 1111111111), k.track(t0))
		open := server(k.coldStart(t0+10, true))
		open.Mobile = false
		k.unchanged(open, stamped(1111111111))
		k.send(k.end(t0 + 20))
		open.Times.Original, open.Message = t0+30, 99
		k.unchanged(open, cleared)
	})
}

func TestWebResumesWhenTheSDKOpensASession(t *testing.T) {
	k := newKey(t, Policy{})
	k.send(k.start(t0, 1111111111), k.track(t0), k.end(t0+10))
	k.unchanged(k.sdkStart(t0+10), cleared) // not later than the end
	k.unchanged(mobile(k.sdkStart(t0+20)), cleared)
	k.unchanged(server(k.sdkStart(t0+20)), cleared)
	open := k.sdkStart(t0 + 30)
	k.is(open, untouched)
	k.unchanged(open, untouched)
	k.unchanged(k.track(t0+31), untouched)
	k.unchanged(k.track(t0+29), cleared)
	// A manual session goes on.
	k.send(k.start(t0+40, 0))
	k.is(k.sdkStart(t0+50), first(t0+40))
}

// Automatic sessions of the proxy's own.

func proxy(t *testing.T) *key {
	return newKey(t, Policy{Automatic: AutomaticProxy, Timeout: 30 * minute})
}

func TestAutomaticGap(t *testing.T) {
	k := proxy(t)
	one := k.track(t0)
	k.is(one, first(t0))
	if k.change != Write {
		t.Errorf("change is %d: an automatic session waits for no disk", k.change)
	}
	k.unchanged(one, first(t0))
	k.is(withSDKFields(k.track(t0+30*minute)), stamped(t0))
	k.is(k.track(t0+60*minute), stamped(t0))
	k.is(k.track(t0+90*minute+1), first(t0+90*minute+1))
	k.unchanged(one, first(t0))
}

func TestAutomaticCutoff(t *testing.T) {
	k := proxy(t)
	k.p.Cutoff = 50 * minute
	k.is(k.track(t0), first(t0))
	k.is(k.track(t0+25*minute), stamped(t0))
	k.is(k.track(t0+50*minute), stamped(t0))
	k.is(k.track(t0+50*minute+1), first(t0+50*minute+1))
	// The cutoff bounds the past as well.
	k.is(k.track(t0-1), first(t0-1))
	// A session that a call cut short ends there.
	k = proxy(t)
	k.p.Cutoff = 50 * minute
	k.send(k.track(t0), k.track(t0+25*minute), k.track(t0+50*minute))
	k.send(k.end(t0 + 20*minute))
	k.is(k.track(t0-30*minute), stamped(t0))
	k.is(k.track(t0-30*minute-1), first(t0-30*minute-1))
}

func TestAutomaticLateEventBetweenTwo(t *testing.T) {
	k := proxy(t)
	k.is(k.track(t0), first(t0))
	k.is(k.track(t0+100*minute), first(t0+100*minute))
	k.is(k.track(t0+50*minute), first(t0+50*minute))
	k.is(k.track(t0+120*minute), stamped(t0+100*minute))
}

// Requests of one page overtake each other: a session that an event began because the
// call had not arrived yet is replaced by the call's.
func TestStartOvertakenByAnEvent(t *testing.T) {
	k := proxy(t)
	overtaking := k.track(t0 + 100)
	k.is(overtaking, first(t0+100))
	k.is(k.start(t0, 0), answered(t0))
	k.is(k.track(t0+101), first(t0))
	k.unchanged(overtaking, stamped(t0))
	k.current(t0+100, t0)

	k = newKey(t, Policy{})
	k.send(k.end(t0))
	k.is(k.sdkStart(t0+100), untouched)
	k.is(k.start(t0+50, 0), answered(t0+50))
	k.is(k.track(t0+101), first(t0+50))
}

func TestEndOvertakenByAnEvent(t *testing.T) {
	k := proxy(t)
	k.is(k.track(t0+100), first(t0+100))
	k.is(k.track(t0+hour), first(t0+hour))
	k.is(k.end(t0), answered(0))
	k.unchanged(k.track(t0+101), cleared)
	k.is(k.track(t0+hour+1), stamped(t0+hour)) // longer after the end than the timeout

	// The same if the late end is the second one.
	k = proxy(t)
	k.send(k.end(t0))
	k.is(k.track(t0+40*minute), first(t0+40*minute))
	k.is(k.end(t0+20*minute), answered(0))
	k.unchanged(k.track(t0+41*minute), cleared)

	// An automatic session that the SDK opens is newer than the end, whenever the end
	// arrives.
	k = newKey(t, Policy{})
	k.send(k.end(t0), k.sdkStart(t0+100))
	k.is(k.end(t0+50), answered(0))
	k.unchanged(k.track(t0+101), untouched)
	k.unchanged(k.track(t0+60), cleared)
}

func TestLateStartLeavesWhatWasSaidAfterIt(t *testing.T) {
	for name, after := range map[string]func(k *key){
		"a call":       func(k *key) { k.send(k.start(t0+100, 1111111111)) },
		"a cold start": func(k *key) { k.send(k.end(t0-10), k.coldStart(t0+100, true)) },
		"an identify": func(k *key) {
			k.send(by(k.start(t0-10, 0), alice), k.identify(t0+100, bob))
		},
		"a second end, and a session after it": func(k *key) {
			k.send(k.end(t0-10), k.end(t0+10), k.sdkStart(t0+hour), k.track(t0+hour+1))
		},
	} {
		everyPolicy(t, func(t *testing.T, p Policy) {
			t.Log(name)
			k := newKey(t, p)
			after(k)
			probe := k.track(t0 + 2*hour)
			if name == "a second end, and a session after it" {
				probe.Times.Original = t0 + hour + 2
			}
			k.send(probe)
			want := Current(k.s, probe.Times.Original, &k.p)
			k.send(k.start(t0, 0))
			k.is(k.track(t0+1), first(t0))
			k.current(probe.Times.Original, want)
			if got := k.send(k.track(probe.Times.Original))[0]; got.SessionID != want || got.Start {
				t.Errorf("%s: %+v, want session %d", name, got, want)
			}
		})
	}
}

// A call that is older than the whole timeline is not applied, even if there is room.
func TestRepeatOfAForgottenStart(t *testing.T) {
	k := proxy(t)
	start := k.start(t0, 0)
	k.send(start, k.end(t0+1))
	for i := range int64(MaxSegments) {
		k.is(k.track(t0+(1+i)*hour), first(t0+(1+i)*hour))
	}
	k.unchanged(start, answered(t0))
	k.current(t0+MaxSegments*hour, t0+MaxSegments*hour)
	k.unchanged(k.track(t0+1), untouched)
	// A call drops the sessions that it would have prevented, and so makes room.
	k.is(k.start(t0+hour+1, 0), answered(t0+hour+1))
	k.unchanged(start, answered(t0))
	k.unchanged(k.track(t0+1), untouched)
	k.current(t0+day, t0+hour+1)
}

func TestResetOfAnAutomaticSession(t *testing.T) {
	k := proxy(t)
	k.is(k.track(t0), first(t0))
	k.is(k.reset(t0+minute), answered(t0+minute))
	k.is(k.track(t0+2*minute), first(t0+minute))
	k.is(k.reset(t0+hour), answered(0)) // timed out
	k.is(k.track(t0+hour), first(t0+hour))
}

// A session that a call began starts with the call: an earlier event does not join it,
// even if late calls have removed the session in which it was.
func TestNothingJoinsARenewedSessionFromBefore(t *testing.T) {
	k := proxy(t)
	k.is(k.track(t0), first(t0))
	k.is(k.reset(t0+3*minute), answered(t0+3*minute))
	k.is(k.start(t0+minute, 1111111111), answered(1111111111))
	k.is(k.coldStart(t0+2*minute, true), first(t0+2*minute))
	k.is(k.track(t0+3*minute), first(t0+3*minute))
}

func TestNothingJoinsAcrossAnEnd(t *testing.T) {
	k := proxy(t)
	k.send(k.end(t0), k.end(t0+5*minute))
	k.is(k.coldStart(t0+6*minute, true), first(t0+6*minute))
	k.is(k.coldStart(t0+2*minute, true), first(t0+2*minute))
	k.unchanged(k.track(t0+minute), cleared)
	k.is(k.track(t0+3*minute), stamped(t0+2*minute))
	k.unchanged(k.track(t0+5*minute), cleared)
	k.is(k.track(t0+7*minute), stamped(t0+6*minute))
}

func TestJoinOnlysDoNotMakeAutomaticSessions(t *testing.T) {
	k := proxy(t)
	k.unchanged(joinOnly(k.track(t0)), untouched)
	one := by(k.track(t0), alice)
	k.is(one, first(t0))
	before := k.s.Clone()
	// It joins,
	k.unchanged(joinOnly(k.track(t0+30*minute)), stamped(t0))
	k.unchanged(joinOnly(k.track(t0-30*minute)), stamped(t0))
	// but neither extends
	k.unchanged(joinOnly(k.track(t0+60*minute)), untouched)
	k.unchanged(joinOnly(k.track(t0-60*minute)), untouched)
	// nor changes.
	k.unchanged(joinOnly(k.identify(t0+minute, bob)), stamped(t0))
	k.unchanged(joinOnly(by(k.track(t0+minute), bob)), stamped(t0))
	if !reflect.DeepEqual(k.s, before) {
		t.Errorf("was %+v\n is %+v", before, k.s)
	}
	k.s = Release(k.s, one.Message, t0)
	k.unchanged(joinOnly(k.track(t0+1)), stamped(t0))
	k.is(k.track(t0+2), first(t0))
	// After the end it has no session until another event begins one.
	k.send(k.end(t0 + hour))
	k.unchanged(joinOnly(k.track(t0+hour)), cleared)
	k.unchanged(joinOnly(k.track(t0+2*hour)), untouched)
}

func TestJoinOnlysTakePartInManualSessions(t *testing.T) {
	k := proxy(t)
	k.send(k.start(t0, 1111111111))
	k.is(joinOnly(k.track(t0+1)), first(1111111111))
}

func TestServersMakeAutomaticSessions(t *testing.T) {
	k := proxy(t)
	k.is(server(k.track(t0)), first(t0))
	k.send(k.end(t0))
	k.is(server(k.track(t0+hour)), first(t0+hour))
}

func TestOffHasNoAutomaticSessions(t *testing.T) {
	k := newKey(t, Policy{Automatic: AutomaticOff})
	k.unchanged(k.sdkStart(t0), cleared)
	if k.s != nil {
		t.Errorf("session %+v", k.s)
	}
}

// A changed policy holds at once: the proxy's automatic sessions end with it.
func TestPolicyLeavesProxyMode(t *testing.T) {
	for a, want := range map[AutomaticPolicy]Decision{AutomaticSDK: untouched, AutomaticOff: cleared} {
		k := proxy(t)
		one := k.track(t0)
		k.is(one, first(t0))
		k.p.Automatic = a
		k.unchanged(k.track(t0+1), want)
		k.unchanged(one, want)
		k.is(k.reset(t0+2), answered(0))
		k.current(t0+2, 0)
	}
}

// Reading, forgetting.

func TestCurrent(t *testing.T) {
	k := newKey(t, Policy{})
	is := func(now, want int64) {
		t.Helper()
		if got := Current(k.s, now, &k.p); got != want {
			t.Errorf("current at %+d ms: %d, want %d", now-t0, got, want)
		}
	}
	is(t0, 0)
	k.send(k.start(t0, 1111111111))
	is(t0, 1111111111)
	k.send(k.end(t0 + 10))
	is(t0+10, 0)
	k.send(k.start(t0+20, 2222222222))
	is(t0+20, 2222222222)
	is(t0+300*day, 2222222222)
	// The reader's clock is behind that of the proxy that wrote it.
	is(t0+19, 2222222222)

	k = proxy(t)
	k.send(k.track(t0))
	is(t0+30*minute, t0)
	is(t0+30*minute+1, 0)
	k.p.Cutoff = minute
	is(t0+minute+1, 0)
}

func TestRetention(t *testing.T) {
	for _, retention := range []int64{16 * hour, 400 * day} {
		k := newKey(t, Policy{Retention: retention})
		grain := min(day, retention/16)
		k.now = t0
		k.send(k.start(t0, 1111111111), k.track(t0))
		version := k.s.Version

		// Not every event is written, but one in each grain of time.
		k.now = t0 + grain
		k.unchanged(k.track(k.now), stamped(1111111111))
		k.now = t0 + grain + 1
		k.is(k.track(k.now), stamped(1111111111))
		if k.change != Deferred || k.s.Seen != k.now {
			t.Errorf("change %d, seen %+d ms", k.change, k.s.Seen-t0)
		}

		// Remembered for as long as the retention, whatever the grain.
		seen := k.now
		k.now = seen + retention
		if k.p.Expired(k.s, k.now) {
			t.Error("expired within the retention")
		}
		k.currentNow(1111111111)

		k.now = seen + retention + grain + 1
		if !k.p.Expired(k.s, k.now) {
			t.Error("not expired after the retention")
		}
		k.currentNow(0)
		k.unchanged(k.track(k.now), untouched)
		k.unchanged(k.end(t0-1), k.send(k.end(t0 - 1))[0])
		k.is(k.start(k.now, 0), answered(k.now))
		if k.s.Version <= version || len(k.s.Segments) > 2 {
			t.Errorf("session %+v", k.s)
		}
		k.is(k.track(k.now), first(k.now))
	}
}

func TestNoRetentionIsForEver(t *testing.T) {
	k := newKey(t, Policy{})
	k.now = t0
	k.send(k.start(t0, 1111111111), k.track(t0))
	k.now = math.MaxInt64 / 2000
	k.unchanged(k.track(k.now), stamped(1111111111))
	k.currentNow(1111111111)
}

func TestVersionOfAForgottenKeyIsNotUsedAgain(t *testing.T) {
	k := newKey(t, Policy{})
	k.now = t0
	for range 500 {
		k.send(k.start(t0, 0), k.end(t0))
	}
	old := k.s.Version
	k.s, k.now = nil, t0+1
	k.send(k.start(t0+1, 0))
	if k.s.Version <= old {
		t.Errorf("version %d, was %d before the key was forgotten", k.s.Version, old)
	}
}

func TestMessageOfALaggingClockKeepsSeen(t *testing.T) {
	k := newKey(t, Policy{Retention: 400 * day})
	k.now = t0 + hour
	k.send(k.start(t0, 0))
	k.now = t0
	k.send(k.end(t0 + 1))
	if k.s.Seen != t0+hour {
		t.Errorf("seen %+d ms", k.s.Seen-t0)
	}
}

func TestUnchangedAllocatesNothing(t *testing.T) {
	manual := newKey(t, Policy{Retention: 400 * day})
	manual.send(by(manual.start(t0, 0), alice), manual.track(t0))
	ended := newKey(t, Policy{})
	ended.send(ended.end(t0))
	automatic := proxy(t)
	automatic.send(by(automatic.track(t0), alice), automatic.track(t0+minute))
	for name, k := range map[string]*key{
		"unknown": newKey(t, Policy{}), "manual": manual, "ended": ended, "automatic": automatic,
	} {
		events := []Event{
			k.track(t0 + 1), k.identify(t0+2, alice), joinOnly(k.track(t0 + 3)), k.track(t0 + second),
		}
		decisions := make([]Decision, len(events))
		var s *Session
		var change Change
		r := request(k.now, &k.p, events)
		n := testing.AllocsPerRun(100, func() {
			s, change = Transition(k.s, r, decisions)
		})
		if n != 0 || s != k.s || change != Unchanged {
			t.Errorf("%s: %v allocations, same session: %v, change %d", name, n, s == k.s, change)
		}
	}
}

func TestModesHaveNames(t *testing.T) {
	for m, want := range map[Mode]string{None: "none", Manual: "manual", Ended: "ended", Automatic: "automatic"} {
		if m.String() != want {
			t.Errorf("%d is %q, want %q", m, m.String(), want)
		}
	}
}
