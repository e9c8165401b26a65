package shop

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"testing"
)

// eventsOf are all events that devices make in a month, in the order in which each
// device makes them.
func eventsOf(t *testing.T, o Options) (made map[*device][]*event, reports []*event) {
	t.Helper()
	g := newGenerator(io.Discard, o, activity(o))
	made = map[*device][]*event{}
	seen := map[*event]bool{}
	for {
		begins, more := g.agenda.first()
		for len(g.pending.items) > 0 && (!more || g.pending.items[0].at < begins) {
			d := g.pending.pop()
			if err := g.emit(d); err != nil {
				t.Fatal(err)
			}
			switch e := d.event; {
			case seen[e]:
			case e.id.Backend:
				reports = append(reports, e)
			default:
				made[e.device] = append(made[e.device], e)
			}
			seen[d.event] = true
		}
		if !more {
			break
		}
		d := g.agenda.pop()
		g.visit(d)
		g.schedule(d)
	}
	for _, events := range made {
		slices.SortStableFunc(events, func(a, b *event) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id.Visit, b.id.Visit), cmp.Compare(a.id.Number, b.id.Number))
		})
	}
	return made, reports
}

// TestTruth derives the visits of each device from the true times and the users of its
// events that arrived, and compares them with those in the message ids.
func TestTruth(t *testing.T) {
	made, reports := eventsOf(t, small)
	pauses, midnights, several, handovers := 0, 0, 0, 0
	type span struct {
		first, last int64
		users       map[int32]bool
	}
	spans := map[*device]map[uint16]*span{}
	for d, events := range made {
		spans[d] = map[uint16]*span{}
		users := map[int32]bool{}
		var last *event
		for _, e := range events {
			if e.user != 0 {
				users[e.user] = true
			}
			if last != nil {
				begins := e.at-last.at > VisitTimeout
				switch {
				case e.act == actIdentify && last.user != 0 && e.user != last.user:
					begins = true
					handovers++
				case last.user != 0 && e.user == 0: // logged out
					begins = true
				}
				missing := e.id.Number > 1 && last.id.Number+1 != e.id.Number || e.id.Number > 1 && begins
				if other := e.id.Visit != last.id.Visit; other != begins && !missing {
					t.Fatalf("%s: visit %d after %d, after %d s, user %d after %d",
						d.kind, e.id.Visit, last.id.Visit, (e.at-last.at)/second, e.user, last.user)
				}
				if e.id.Visit == last.id.Visit && e.at-last.at > 5*minute {
					pauses++
				}
				if e.id.Visit == last.id.Visit && e.at/day != last.at/day {
					midnights++
				}
			}
			s := spans[d][e.id.Visit]
			if s == nil {
				s = &span{first: e.at, users: map[int32]bool{}}
				spans[d][e.id.Visit] = s
			}
			s.last = e.at
			s.users[e.user] = true
			last = e
		}
		if len(users) > 1 {
			several++
		}
	}
	if pauses < 200 || midnights < 3 || several < 10 || handovers < 5 {
		t.Errorf("%d pauses of more than 5 minutes within visits, %d visits across midnight, %d devices with several users, %d logins while another was logged in",
			pauses, midnights, several, handovers)
	}
	during, outside := 0, 0
	for _, e := range reports {
		if e.id.Visit == 0 {
			outside++
			continue
		}
		during++
		var s *span
		for _, d := range e.home.devices {
			if d.number == e.id.Device && spans[d] != nil {
				s = spans[d][e.id.Visit]
			}
		}
		// The last event may not have arrived, and the backend takes a moment.
		if s == nil || e.at < s.first-minute || e.at > s.last+2*minute {
			t.Fatalf("%s: not during visit %d", actNames[e.act], e.id.Visit)
		}
		if !s.users[e.user] {
			t.Errorf("%s: user %d was not logged in", actNames[e.act], e.user)
		}
	}
	if during < 300 || outside < 300 {
		t.Errorf("%d of the backend's events happened during visits, %d did not", during, outside)
	}
}

// TestTodaysDefects checks that the lines have the defects of the SDKs' session ids,
// which are simulated on purpose.
func TestTodaysDefects(t *testing.T) {
	var s Scorer
	if err := s.Read(bytes.NewReader(month(t, small))); err != nil {
		t.Fatal(err)
	}
	scores := s.Scores()
	for _, row := range []struct {
		kinds           []Kind
		what            string
		count           func(*Score) int
		of              func(*Score) int
		atLeast, atMost float64
	}{
		{[]Kind{WebV3}, "found", found, visits, 0.99, 1},
		{[]Kind{WebV3}, "sessions with one start mark", started, sessions, 0.99, 1},
		{[]Kind{WebV1}, "split", split, visits, 0.01, 0.10},
		{[]Kind{WebV1}, "sessions with several start marks", restarted, sessions, 0.01, 0.10},
		{[]Kind{WebBlocked}, "split", split, visits, 0.70, 0.99},
		{[]Kind{WebOff, AppOff}, "with gaps", gaps, visits, 1, 1},
		{[]Kind{AndroidJava, IOS, Kotlin, Swift}, "split", split, visits, 0.04, 0.20},
		{[]Kind{AndroidJava, IOS, Kotlin, Swift}, "sessions without a start mark", unstarted, sessions, 0.003, 0.05},
		{[]Kind{AndroidJava, IOS}, "merged", merged, visits, 0.0001, 0.02},
		{[]Kind{Kotlin, Swift, WebV3, WebBlocked}, "merged", merged, visits, 0, 0.001},
	} {
		count, of := 0, 0
		for _, kind := range row.kinds {
			count += row.count(&scores.Kinds[kind])
			of += row.of(&scores.Kinds[kind])
		}
		if got := float64(count) / float64(of); !(got >= row.atLeast && got <= row.atMost) {
			t.Errorf("%v: %s: %d of %d", row.kinds, row.what, count, of)
		}
	}
	total := &scores.Total
	if total.BackendFound != 0 || total.OutsideWith != 0 || total.BackendWithout != total.Backend {
		t.Errorf("events of the backend have sessions: %+v", total)
	}
	if share := float64(total.Repeats) / float64(total.Events); share < 0.003 || share > 0.03 || total.RepeatsDiffer > 0 {
		t.Errorf("%d repeats, %d of them differ", total.Repeats, total.RepeatsDiffer)
	}
}

func found(s *Score) int     { return s.Found }
func visits(s *Score) int    { return s.Visits }
func split(s *Score) int     { return s.Split }
func merged(s *Score) int    { return s.Merged }
func gaps(s *Score) int      { return s.Gaps }
func sessions(s *Score) int  { return s.Sessions }
func started(s *Score) int   { return s.Started }
func unstarted(s *Score) int { return s.Unstarted }
func restarted(s *Score) int { return s.Restarted }
