package session_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// observation is one observation of a value, at a time.
type observation struct {
	of string
	at int64
}

// intervalsText formats intervals: the value, the start and the end of each.
func intervalsText(list []Interval[string]) (text string) {
	for _, s := range list {
		text += fmt.Sprintf("%s %d-%d ", s.Value, s.From, s.Last)
	}
	return text
}

// TestLinksAreForgotten: when a user moves on to another device, the link to the first
// one lasts as long as its session would be remembered, and no longer.
func TestLinksAreForgotten(t *testing.T) {
	const day = 24 * 3600_000
	p := Policy{Timeout: 30 * 60_000, Retention: 400 * day}
	var s *Session
	see := func(at int64, device string) {
		s, _ = Transition(s, request(at, &p, []Event{{Role: UserActivity, Link: device, Times: original(at)}}), make([]Decision, 1))
	}
	see(base, "aphone")
	for n := int64(1); n <= 402; n++ { // there is a day of grace, as for sessions
		see(base+n*day, "alaptop")
		if known := s.HasLink("aphone"); known != (n < 402) {
			t.Fatalf("after %d days: %v", n, known)
		}
	}
	if !s.HasLink("alaptop") {
		t.Errorf("%+v", s.Links)
	}
}

func TestObserve(t *testing.T) {
	for _, c := range []struct {
		name         string
		grain        int64
		observations []observation
		want         string
		change       Change // by the last of them
	}{
		{"the first", 0, []observation{{"a", 5}}, "a 5-5 ", Write},
		{"the same again", 0, []observation{{"a", 5}, {"a", 5}}, "a 5-5 ", Unchanged},
		{"it goes on", 0, []observation{{"a", 5}, {"a", 9}}, "a 5-9 ", CacheOnly},
		{"and a little", 4, []observation{{"a", 5}, {"a", 9}}, "a 5-5 ", Unchanged},
		{"it had begun before", 0, []observation{{"a", 5}, {"a", 3}}, "a 3-5 ", Write},
		{"another", 0, []observation{{"a", 5}, {"b", 9}}, "a 5-5 b 9-9 ", Write},
		{"another before", 0, []observation{{"a", 5}, {"b", 3}}, "b 3-3 a 5-5 ", Write},
		{"another within", 0, []observation{{"a", 1}, {"a", 9}, {"b", 5}}, "a 1-1 b 5-5 a 9-9 ", Write},
		{"another at the beginning", 0, []observation{{"a", 1}, {"a", 9}, {"b", 1}}, "b 1-1 a 9-9 ", Write},
		{"another at the end", 0, []observation{{"a", 1}, {"a", 9}, {"b", 9}}, "a 1-9 b 9-9 ", Write},
		{"at the same time", 0, []observation{{"a", 5}, {"b", 5}}, "b 5-5 ", Write},
		{"at the same time, joined", 0, []observation{{"b", 1}, {"a", 5}, {"b", 5}}, "b 1-5 ", Write},
		{"between, of the next", 0, []observation{{"a", 1}, {"b", 9}, {"b", 5}}, "a 1-1 b 5-9 ", Write},
		{"between, of the one before", 0, []observation{{"a", 1}, {"b", 9}, {"a", 5}}, "a 1-5 b 9-9 ", CacheOnly},
	} {
		var list []Interval[string]
		var change Change
		for _, s := range c.observations {
			list, change = Observe(list, s.of, s.at, c.grain)
		}
		if intervalsText(list) != c.want || change != c.change {
			t.Errorf("%s: %s, %d, want %s, %d", c.name, intervalsText(list), change, c.want, c.change)
		}
	}
}

// TestObserveIsBounded: the most recent intervals are kept, of the most recent values.
func TestObserveIsBounded(t *testing.T) {
	var list []Interval[string]
	for i := range int64(100) {
		list, _ = Observe(list, fmt.Sprint(i%3), i, 0)
	}
	if len(list) != MaxIntervals || list[0].From != 100-MaxIntervals {
		t.Errorf("%d: %s", len(list), intervalsText(list))
	}
	if same, change := Observe(list, "late", 1, 0); change != Unchanged || len(same) != len(list) {
		t.Errorf("older than all: %s", intervalsText(same))
	}
	for i := range int64(20) {
		list, _ = Observe(list, fmt.Sprint("new ", i), 200+i, 0)
	}
	if len(list) != MaxValues || list[0].Value != "new 12" {
		t.Errorf("%d: %s", len(list), intervalsText(list))
	}
}

// TestObserveAnyOrder: in whatever order and however often observations come, the newest
// one is known; if they come in order, all are.
func TestObserveAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var observations []observation
		for i := range rapid.IntRange(1, 30).Draw(t, "observations") {
			observations = append(observations, observation{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "of"), int64(i)})
		}
		ordered := rapid.Bool().Draw(t, "ordered")
		if !ordered {
			observations = rapid.Permutation(observations).Draw(t, "order")
		}
		var all []observation
		for i, s := range observations {
			if all = append(all, s); rapid.Bool().Draw(t, "again") {
				all = append(all, observations[rapid.IntRange(0, i).Draw(t, "which")])
			}
		}
		var list []Interval[string]
		newest := observation{at: -1}
		for _, s := range all {
			before := intervalsText(list)
			next, change := Observe(list, s.of, s.at, 0)
			if intervalsText(list) != before {
				t.Fatalf("the list was changed from %s to %s", before, intervalsText(list))
			}
			if (intervalsText(next) == before) != (change == Unchanged) {
				t.Fatalf("from %s to %s: %d", before, intervalsText(next), change)
			}
			list = next
			if s.at > newest.at {
				newest = s
			}
			for j := range list {
				if list[j].Last < list[j].From || j > 0 && (list[j].From <= list[j-1].Last || list[j].Value == list[j-1].Value) {
					t.Fatalf("%v makes %s of %s", s, intervalsText(list), before)
				}
			}
			if at := IntervalAt(list, newest.at); list[at].Value != newest.of || list[at].Last != newest.at {
				t.Fatalf("%v is the newest: %s", newest, intervalsText(list))
			}
		}
		if !ordered {
			return
		}
		for _, s := range observations {
			if at := IntervalAt(list, s.at); list[at].Value != s.of {
				t.Fatalf("at %d: %s", s.at, intervalsText(list))
			}
		}
	})
}
