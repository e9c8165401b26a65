package integration_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// TestRedisClock: a proxy decides by Redis' clock, and forgets nothing when that clock
// jumps past the retention.
func TestRedisClock(t *testing.T) {
	server := redistest.Start(t)
	between := redistest.StartProxy(t, server)
	between.ShiftTime(time.Hour)
	p := run(t, proxytest.Setup{
		Global: "rudder_session {\nretention 400d\nstore redis " + between.URL() + " {\ntimeout 10s\n}\n}", Session: "automatic proxy",
	})
	users := 0
	start := func() time.Time {
		t.Helper()
		users++
		a := p.Post(t, "/v1/startSession", fmt.Sprintf(`{"anonymousId":"user %d"}`, users))
		var id int64
		if _, err := fmt.Sscanf(a.Body, `{"sessionId":%d}`, &id); err != nil {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return time.UnixMilli(id)
	}
	off := func(at time.Time) time.Duration { return at.Sub(p.Now) }
	// The first request opens and connects the store.
	if d := off(start()); d < 30*time.Minute || d > 90*time.Minute {
		t.Errorf("a session began %v after now, not an hour", d)
	}
	between.ShiftTime(0)
	between.Cut()
	redistest.Await(t, "the clock is followed", func() bool { return off(start()).Abs() < 10*time.Minute })
	p.Start(t, "a3", id1)
	p.Plane.Take()
	if got := p.arrives(t, "a3", "m1"); got != "1234567890!" {
		t.Fatalf("before: %q", got)
	}
	between.ShiftTime(800 * 24 * time.Hour)
	between.Cut()
	redistest.Await(t, "the clock has jumped", func() bool { return off(start()) > 700*24*time.Hour })
	if got := p.arrives(t, "a3", "m2"); got != "1234567890" {
		t.Errorf("after the clock jumped: %q", got)
	}
}
