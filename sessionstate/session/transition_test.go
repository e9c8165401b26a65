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
