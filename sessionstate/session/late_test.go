package session_test

import (
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

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
