package session_test

import (
	"math"
	"testing"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

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
