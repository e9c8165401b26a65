package session_test

import (
	"reflect"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

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
