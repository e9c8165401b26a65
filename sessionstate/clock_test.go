package sessionstate_test

import (
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/sessionstate"
)

// A clock that jumps ahead is not trusted for a day, in which nothing is forgotten by
// age. A clock that goes back, or ahead as fast as time passes, is trusted.
func TestSteady(t *testing.T) {
	const year = 365 * 24 * time.Hour
	type step struct {
		passed, set time.Duration // the time that passes, and by how much the clock is set then
		want        bool
	}
	for name, steps := range map[string][]step{
		"as time goes":          {{0, 0, true}, {time.Hour, 0, true}, {year, 0, true}},
		"a little off":          {{0, 0, true}, {time.Hour, 50 * time.Second, true}, {time.Hour, -time.Minute, true}},
		"ahead, and back":       {{0, 0, true}, {time.Hour, 2 * year, false}, {time.Hour, 0, false}, {time.Hour, -2 * year, true}, {time.Hour, 0, true}},
		"ahead again":           {{0, 0, true}, {time.Hour, year, false}, {23 * time.Hour, -year, true}, {time.Hour, year, false}, {23 * time.Hour, 0, false}},
		"ahead for good":        {{0, 0, true}, {time.Hour, year, false}, {23 * time.Hour, 0, false}, {time.Hour, 0, true}, {time.Hour, 0, true}},
		"ahead before we began": {{0, 0, true}, {time.Hour, -6 * time.Hour, true}, {time.Hour, 6 * time.Hour, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var steady Steady
			local, ms := time.Now(), base
			for i, s := range steps {
				local = local.Add(s.passed)
				ms += (s.passed + s.set).Milliseconds()
				if got := steady.At(ms, local); got != s.want {
					t.Errorf("step %d: %v", i, got)
				}
			}
		})
	}
}

// clocked is a store whose clock a test sets.
type clocked struct {
	*failStore
	ahead time.Duration
}

func (c *clocked) At(local time.Time) time.Time { return local.Add(-c.ahead) }

func (c *clocked) Ahead() (ahead, within time.Duration, known bool) {
	return c.ahead, time.Millisecond, true
}

// A table uses its store's clock, if it has one.
func TestArrival(t *testing.T) {
	local := time.Now()
	own := open(t, newFailStore(t), Options{})
	if ms, steady := own.Arrival(local); ms != local.UnixMilli() || !steady {
		t.Errorf("its own: %d, %v", ms, steady)
	}
	if s := own.Stats(); s.ClockKnown {
		t.Errorf("its own: %+v", s)
	}
	store := &clocked{failStore: newFailStore(t), ahead: 2 * time.Second}
	table := open(t, store, Options{})
	if ms, steady := table.Arrival(local); ms != local.UnixMilli()-2000 || !steady {
		t.Errorf("the store's: %d, %v", ms, steady)
	}
	if s := table.Stats(); !s.ClockKnown || s.ClockAhead != 2*time.Second || s.ClockWithin != time.Millisecond {
		t.Errorf("the store's: %+v", s)
	}
	store.ahead = -800 * 24 * time.Hour
	if _, steady := table.Arrival(local); steady {
		t.Error("a clock that jumped is believed")
	}
}
