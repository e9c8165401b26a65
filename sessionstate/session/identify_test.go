package session_test

import (
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

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
