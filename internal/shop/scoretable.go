package shop

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// add adds the counts of another score.
func (s *Score) add(other *Score) {
	sum, more := reflect.ValueOf(s).Elem(), reflect.ValueOf(other).Elem()
	for i := range sum.NumField() {
		sum.Field(i).SetInt(sum.Field(i).Int() + more.Field(i).Int())
	}
}

// columns are the columns of the table of scores.
var columns = [...]struct {
	name  string
	value func(*Score) string
}{
	{"events", func(s *Score) string { return thousands(s.Events) }},
	{"visits", func(s *Score) string { return thousands(s.Visits) }},
	{"found", func(s *Score) string { return share(s.Found, s.Visits) }},
	{"split", func(s *Score) string { return share(s.Split, s.Visits) }},
	{"merged", func(s *Score) string { return share(s.Merged, s.Visits) }},
	{"with gaps", func(s *Score) string { return share(s.Gaps, s.Visits) }},
	{"events in no session", func(s *Score) string { return share(s.Unassigned, s.Events-s.Backend-s.Outside) }},
	{"backend events in their session", func(s *Score) string { return share(s.BackendFound, s.Backend) }},
	{"in none", func(s *Score) string { return share(s.BackendWithout, s.Backend) }},
	{"sessions", func(s *Score) string { return thousands(s.Sessions) }},
	{"one start mark", func(s *Score) string { return share(s.Started, s.Sessions) }},
	{"none", func(s *Score) string { return share(s.Unstarted, s.Sessions) }},
	{"several", func(s *Score) string { return share(s.Restarted, s.Sessions) }},
	{"repeats", func(s *Score) string { return thousands(s.Repeats) }},
	{"answered differently", func(s *Score) string { return share(s.RepeatsDiffer, s.Repeats) }},
}

// TableHead writes the head of a Markdown table of scores.
func TableHead(w io.Writer) error {
	var names, lines strings.Builder
	for _, c := range columns {
		names.WriteString(" " + c.name + " |")
		lines.WriteString("---:|")
	}
	_, err := fmt.Fprintf(w, "| |%s\n|---|%s\n", names.String(), lines.String())
	return err
}

// TableRow writes a score as a row of the table.
func (s *Score) TableRow(w io.Writer, name string) error {
	var row strings.Builder
	for _, c := range columns {
		row.WriteString(" " + c.value(s) + " |")
	}
	_, err := fmt.Fprintf(w, "| %s |%s\n", name, row.String())
	return err
}

// share is a part of a whole, in percent.
func share(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}

// thousands is a number with commas between its thousands.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
