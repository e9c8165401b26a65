package session_test

import (
	"reflect"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

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
