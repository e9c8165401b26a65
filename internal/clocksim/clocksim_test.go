package clocksim

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// The bounds for each row leave far more room than the random variation of a few hundred
// sessions.
func TestRows(t *testing.T) {
	for i := range Scenarios {
		s := &Scenarios[i]
		t.Run(s.Name, func(t *testing.T) {
			r, err := Run(s, 480, 1)
			if err != nil {
				t.Fatal(err)
			}
			share := func(n int) float64 { return float64(n) / float64(r.Sessions) }
			floor, byEventTime, wrong := share(r.Floor), share(r.EventTime.Wrong), share(r.Table.Wrong)
			t.Logf("floor %.4f, by event time %.4f, by the rules %.4f", floor, byEventTime, wrong)
			// above is the largest share of wrong sessions beyond the floor; before is the
			// smallest share of sessions that are wrong by event time alone: with fewer, the
			// row would not test anything.
			above, before := 0.01, 0.01
			switch {
			case s.automatic:
				if wrong < -0.01 {
					t.Errorf("too few sessions began: %.4f", wrong)
				}
				before = 0.005
			case s.call == awaited:
				above, before = 0.25, 0.3
			case s.stalls:
				above, before = 0.03, 0.3
			case !s.app:
				above, before = 0.002, 0.1 // with timestamps, everything that can be known is known
			}
			if wrong-floor > above {
				t.Errorf("%.4f of the sessions have a wrong event, the floor is %.4f", wrong, floor)
			}
			if byEventTime-floor < before {
				t.Errorf("by event time %.4f are wrong, the floor is %.4f: the simulation is too kind", byEventTime, floor)
			}
			if wrong < floor && !s.automatic {
				t.Error("less than the floor: it is none")
			}
			// After a stall that is long enough to look like a clock that was set, an event can
			// be taken for another session's, and its repeat be put into the right one.
			if s.app && !s.stalls && (r.Repeats == 0 || r.Table.Unstable > 0) {
				t.Errorf("of %d deliveries of an event again %d were answered differently", r.Repeats, r.Table.Unstable)
			}
		})
	}
}

func TestSameSeed(t *testing.T) {
	for i := range Scenarios {
		s := &Scenarios[i]
		first, err := Run(s, 30, 7)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Run(s, 30, 7); again != first {
			t.Errorf("%s: %+v, then %+v", s.Name, first, again)
		}
	}
}

// A simulated device makes each message once, its clock runs forward, and requests arrive
// after they were sent.
func TestDeliveries(t *testing.T) {
	for i := range Scenarios {
		s := &Scenarios[i]
		for seed := range uint64(50) {
			first := map[int]message{}
			var last float64
			for _, d := range s.deliveries(rand.New(rand.NewPCG(seed, 0))) {
				if d.at < last || d.received < millis(d.at) {
					t.Fatalf("%s: arrived out of order: %+v", s.Name, d)
				}
				last = d.at
				for _, m := range d.messages {
					known, seen := first[m.number]
					if !seen {
						first[m.number] = m
					} else if !d.again || !reflect.DeepEqual(m, known) {
						t.Fatalf("%s: a message came twice: %+v, %+v", s.Name, known, m)
					}
					if d.at < m.made || m.read != 0 && d.sent < m.read {
						t.Fatalf("%s: sent before it was made: %+v in %+v", s.Name, m, d)
					}
				}
			}
			calls := 0
			for _, m := range first {
				if m.control {
					calls++
				}
			}
			if calls != s.sessions {
				t.Errorf("%s: %d calls, not %d", s.Name, calls, s.sessions)
			}
		}
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	if err := Print(&b, 12, 1); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(b.String(), "\n| "); lines != len(Scenarios)+2 {
		t.Errorf("%d rows:\n%s", lines, b.String())
	}
}
