package clocksim

import (
	"cmp"
	"slices"
)

// truth is what one device did, and how much of it can be known.
type truth struct {
	automatic                        bool
	deliveries                       []delivery
	sessions, events, repeats, floor int
}

func newTruth(s *Scenario, deliveries []delivery) *truth {
	t := &truth{automatic: s.automatic, deliveries: deliveries, sessions: s.sessions}
	called, seen, early := map[int]bool{0: true}, map[int]bool{}, map[int]bool{}
	var made []message
	for _, d := range deliveries {
		for _, m := range d.messages {
			switch {
			case m.control && !s.automatic:
				called[m.session] = true
				continue
			case seen[m.number]:
				t.repeats++
				continue
			}
			seen[m.number] = true
			t.events++
			made = append(made, m)
			if !called[m.session] {
				early[m.session] = true
			}
		}
	}
	if !s.automatic {
		t.floor = len(early)
		return t
	}
	// The sessions follow from the timeout and the true times.
	slices.SortFunc(made, func(a, b message) int { return cmp.Compare(a.made, b.made) })
	t.sessions = 1
	for i := range made[1:] {
		if made[i+1].made-made[i].made > timeout/1000 {
			t.sessions++
		}
	}
	return t
}

// count compares answers with the truth.
func (t *truth) count(answers []int64) (c Count) {
	first, wrong, ids := map[int]int64{}, map[int]bool{}, map[int64]bool{}
	for _, d := range t.deliveries {
		for _, m := range d.messages {
			answer := answers[0]
			answers = answers[1:]
			if m.control && !t.automatic {
				continue
			}
			ids[answer] = true
			if known, ok := first[m.number]; ok {
				if known != answer {
					c.Unstable++
				}
				continue
			}
			first[m.number] = answer
			if answer != id(m.session) {
				wrong[m.session] = true
			}
		}
	}
	c.Wrong = len(wrong)
	if t.automatic {
		c.Wrong = len(ids) - t.sessions
	}
	return c
}
