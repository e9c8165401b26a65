package shop

import (
	"fmt"
	"strings"
	"testing"
)

// lines are hand-made events, all of one household.
type lines struct{ strings.Builder }

// add adds an event; context is what is in its context.
func (l *lines) add(id MessageID, context string) {
	fmt.Fprintf(l, `{"context":{%s},"messageId":"%s","type":"track"}`+"\n", context, id.Append(nil))
}

// of adds an event of a device's visit.
func (l *lines) of(visit, number uint16, context string) {
	l.add(MessageID{Household: 7, Visit: visit, Number: number}, context)
}

// backend adds an event of the backend that happened during a visit, 0 for none.
func (l *lines) backend(visit, number uint16, context string) {
	l.add(MessageID{Household: 7, Visit: visit, Number: number, Backend: true}, context)
}

const (
	mark  = `,"sessionStart":true`
	one   = `"sessionId":1790812800001`
	two   = `"sessionId":1790812800002`
	three = `"sessionId":1790812800003`
)

func TestScore(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines func(l *lines)
		want  Score
	}{
		{"found", func(l *lines) {
			l.of(1, 1, one+mark)
			l.of(1, 2, one)
			l.of(2, 1, two+mark)
		}, Score{Events: 3, Visits: 2, Found: 2, Sessions: 2, Started: 2}},
		{"split", func(l *lines) {
			l.of(1, 1, one+mark)
			l.of(1, 2, two+mark)
			l.of(1, 3, one)
		}, Score{Events: 3, Visits: 1, Split: 1, Sessions: 2, Started: 2}},
		{"merged", func(l *lines) {
			l.of(1, 1, one+mark)
			l.of(2, 1, one)
			l.of(3, 1, two+mark)
		}, Score{Events: 3, Visits: 3, Found: 1, Merged: 2, Sessions: 2, Started: 2}},
		{"split and merged", func(l *lines) {
			l.of(1, 1, one+mark)
			l.of(1, 2, two+mark)
			l.of(2, 1, two)
		}, Score{Events: 3, Visits: 2, Split: 1, Merged: 2, Sessions: 2, Started: 2}},
		{"gaps", func(l *lines) {
			l.of(1, 1, one+mark)
			l.of(1, 2, "")
			l.of(2, 1, `"sessionId":null`)
			l.of(3, 1, `"sessionId":"abc"`)
		}, Score{Events: 4, Visits: 3, Gaps: 3, Unassigned: 3, Sessions: 1, Started: 1}},
		{"start marks", func(l *lines) {
			l.of(1, 1, one)
			l.of(1, 2, one)
			l.of(2, 1, two+mark)
			l.of(2, 2, two+mark)
			l.of(3, 1, three+`,"sessionStart":false`)
			l.of(3, 2, three+mark)
		}, Score{Events: 6, Visits: 3, Found: 3, Sessions: 3, Started: 1, Unstarted: 1, Restarted: 1}},
		{"a repeat with its start mark", func(l *lines) {
			l.of(1, 1, one+mark)
			l.of(1, 2, one)
			l.of(1, 1, one+mark)
		}, Score{Events: 2, Repeats: 1, Visits: 1, Found: 1, Sessions: 1, Started: 1}},
		{"repeats that differ", func(l *lines) {
			l.of(1, 1, one+mark)
			l.of(1, 1, one)
			l.of(1, 1, one+mark)
			l.of(1, 1, two+mark)
		}, Score{Events: 1, Repeats: 3, RepeatsDiffer: 2, Visits: 1, Found: 1, Sessions: 1, Started: 1}},
		{"backend", func(l *lines) {
			l.backend(1, 1, one) // before any event of the visit was delivered
			l.of(1, 1, one+mark)
			l.of(2, 1, two+mark)
			l.backend(1, 2, two)
			l.backend(1, 3, "")
			l.backend(2, 4, three)
			l.backend(0, 5, "")
			l.backend(0, 6, one)
		}, Score{
			Events: 8, Visits: 2, Found: 2, Backend: 4, BackendFound: 1, BackendWithout: 1,
			Outside: 2, OutsideWith: 1, Sessions: 2, Started: 2,
		}},
		{"backend, of a visit that is merged with another", func(l *lines) {
			l.of(1, 1, one+mark)
			l.of(2, 1, one)
			l.backend(1, 1, one)
		}, Score{Events: 3, Visits: 2, Merged: 2, Backend: 1, Sessions: 1, Started: 1}},
		{"a start mark on an event of the backend", func(l *lines) {
			l.of(1, 1, one)
			l.backend(1, 1, one+mark)
			l.of(2, 1, two+mark)
			l.backend(2, 2, two+mark)
		}, Score{Events: 4, Visits: 2, Found: 2, Backend: 2, BackendFound: 2, Sessions: 2, Started: 1, Restarted: 1}},
		{"backend, of a visit without events", func(l *lines) {
			l.backend(1, 1, one)
		}, Score{Events: 1, Backend: 1}},
		{"the same id of two households", func(l *lines) {
			l.of(1, 1, one+mark)
			l.add(MessageID{Household: 8, Visit: 1, Number: 1}, one+mark)
		}, Score{Events: 2, Visits: 2, Found: 2, Sessions: 2, Started: 2}},
		{"the same id on two devices", func(l *lines) {
			l.of(1, 1, one+mark)
			l.add(MessageID{Household: 7, Device: 1, Visit: 1, Number: 1}, one)
		}, Score{Events: 2, Visits: 2, Merged: 2, Sessions: 1, Started: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l lines
			test.lines(&l)
			scores, err := ScoreLines(strings.NewReader(l.String()))
			if err != nil {
				t.Fatal(err)
			}
			if scores.Total != test.want || scores.Foreign != 0 {
				t.Errorf("%+v, foreign %d\nwant %+v", scores.Total, scores.Foreign, test.want)
			}
		})
	}
}

func TestScoreLinesThatAreNone(t *testing.T) {
	var l lines
	l.WriteString("\n  \n{\"messageId\":\"7d55f496-e87f-46d7-ab82-f374876020db\"}\nnot JSON\n")
	l.of(1, 1, `"padding":"`+strings.Repeat("x", 1<<19)+`",`+one+mark) // longer than the reader's buffer
	scores, err := ScoreLines(strings.NewReader(strings.TrimSuffix(l.String(), "\n")))
	if err != nil {
		t.Fatal(err)
	}
	want := Score{Events: 1, Visits: 1, Found: 1, Sessions: 1, Started: 1}
	if scores.Foreign != 2 || scores.Total != want {
		t.Errorf("foreign %d, %+v\nwant 2, %+v", scores.Foreign, scores.Total, want)
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	score := Score{Events: 1_234_567, Visits: 200, Found: 150}
	if err := TableHead(&out); err != nil {
		t.Fatal(err)
	}
	if err := score.TableRow(&out, "today"); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(rows) != 3 {
		t.Fatal(out.String())
	}
	for _, row := range rows {
		if strings.Count(row, "|") != len(columns)+2 {
			t.Error(row)
		}
	}
	if want := "| today | 1,234,567 | 200 | 75.00 % |"; !strings.HasPrefix(rows[2], want) {
		t.Errorf("%s\nwant %s", rows[2], want)
	}
}
