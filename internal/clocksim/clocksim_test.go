package clocksim

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// What must hold in each row is far from what its few hundred sessions vary by.
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
			// above is how much more than the floor may be wrong, before at least how much
			// is so by event time alone: else there is nothing to see here.
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
				above, before = 0.002, 0.1 // who tells the times loses nothing that could be known
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
			// Where a request stalls for longer than a clock is believed not to be set, an
			// event can be taken for another session's, and found where it was later.
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

// A simulated device makes each message once, its clock runs forward, and what
// arrives was sent before.
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
