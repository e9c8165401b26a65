package session_test

import (
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

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
