package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/rudder-session/rudder-session/caddymodule/internal/terminal"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// shownReasons is how many reasons the text shows for each policy.
const shownReasons = 10

// Print writes the report for people.
func (r *Report) Print(to io.Writer) error {
	p := printer{report: r}
	p.input()
	p.figures()
	p.distribution("Length of sessions", lengthNames, func(s *SessionReport) []Class { return s.ByLength })
	p.distribution("Events in a session", countNames, func(s *SessionReport) []Class { return s.ByEvents })
	for i := range r.Policies {
		p.reasons(&r.Policies[i])
	}
	_, err := io.WriteString(to, p.text.String())
	return err
}

var (
	lengthNames = []string{"one moment", "up to 10 s", "up to 1 min", "up to 5 min", "up to 15 min", "up to 30 min", "up to 1 h", "up to 2 h", "up to 6 h", "longer"}
	countNames  = []string{"1", "2", "3 to 5", "6 to 10", "11 to 20", "21 to 50", "51 to 100", "101 to 200", "more"}
)

type printer struct {
	report *Report
	text   strings.Builder
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(&p.text, format, args...) }

func (p *printer) input() {
	in := &p.report.Input
	p.printf("%s: %s lines, %s\n", terminal.Safe(strings.Join(in.Files, ", ")), humanize.Comma(in.Lines), humanize.Bytes(uint64(in.Bytes)))
	if !in.First.IsZero() {
		p.printf("received from %s to %s UTC\n", in.First.Format(time.DateTime), in.Last.Format(time.DateTime))
	}
	p.odd("not JSON", &in.NotJSON)
	p.odd("no events with a receivedAt", &in.NotEvent)
	p.odd("longer than 32 MiB", &in.TooLong)
}

func (p *printer) odd(what string, o *OddLines) {
	if o.Lines == 0 {
		return
	}
	var first []string
	for _, at := range o.First {
		first = append(first, at.String())
	}
	p.printf("lines that are %s, passed on as they are: %s, such as %s", what, humanize.Comma(o.Lines), terminal.Safe(strings.Join(first, ", ")))
	if int64(len(o.First)) < o.Lines {
		p.printf(", …")
	}
	p.printf("\n")
}

// String returns the place as "file:line".
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

const (
	nameWidth   = 36
	columnWidth = 20
)

// row writes one line of the table of figures.
func (p *printer) row(name string, cells ...string) {
	p.printf("%s%s", name, strings.Repeat(" ", max(nameWidth-utf8.RuneCountInString(name), 1)))
	line := ""
	for _, cell := range cells {
		line += strings.Repeat(" ", max(columnWidth-utf8.RuneCountInString(cell), 1)) + cell
	}
	p.printf("%s\n", strings.TrimRight(line, " "))
}

// numbers writes a row with a number for each policy, and none for the events as they
// came.
func (p *printer) numbers(name string, of func(*PolicyReport) int64) {
	cells := []string{""}
	for i := range p.report.Policies {
		cells = append(cells, humanize.Comma(of(&p.report.Policies[i])))
	}
	p.row(name, cells...)
}

// both writes a row with a text for the sessions on each side.
func (p *printer) both(name string, of func(*SessionReport) string) {
	cells := []string{of(&p.report.Policies[0].Before)}
	for i := range p.report.Policies {
		cells = append(cells, of(&p.report.Policies[i].After))
	}
	p.row(name, cells...)
}

func (p *printer) figures() {
	p.printf("\n")
	head := []string{"as they came"}
	for i := range p.report.Policies {
		head = append(head, clip(terminal.Safe(p.report.Policies[i].Name), columnWidth-1))
	}
	p.row("", head...)
	p.numbers("events", func(r *PolicyReport) int64 { return r.Events })
	p.numbers("users (session keys)", func(r *PolicyReport) int64 { return r.Users })
	p.numbers("control calls carried out", func(r *PolicyReport) int64 { return r.Controls })
	p.numbers("control requests refused", func(r *PolicyReport) int64 { return r.RefusedControls })
	p.numbers("lines passed on unread", func(r *PolicyReport) int64 { return r.Passed })
	p.printf("\n")
	p.both("sessions with events", func(s *SessionReport) string { return humanize.Comma(s.Sessions) })
	p.both("  without a start mark", func(s *SessionReport) string { return humanize.Comma(s.WithoutStart) })
	p.both("  with several start marks", func(s *SessionReport) string { return humanize.Comma(s.WithStarts) })
	p.both("  length, mean", func(s *SessionReport) string {
		return time.Duration(s.Seconds / float64(max(s.Sessions, 1)) * float64(time.Second)).Round(time.Second).String()
	})
	p.both("  events, mean", func(s *SessionReport) string {
		return fmt.Sprintf("%.1f", float64(s.Events)/float64(max(s.Sessions, 1)))
	})
	p.numbers("sessions that are split", func(r *PolicyReport) int64 { return r.Split })
	p.numbers("sessions that are merged", func(r *PolicyReport) int64 { return r.Merged })
	p.printf("\n")
	p.causes("sessions begun by ", func(r *PolicyReport) map[string]int64 { return r.Began })
	p.causes("sessions ended by ", func(r *PolicyReport) map[string]int64 { return r.Ended })
	p.printf("\n")
	p.numbers("events stamped", func(r *PolicyReport) int64 { return r.Stamped })
	p.numbers("events cleared", func(r *PolicyReport) int64 { return r.Cleared })
	p.numbers("events untouched", func(r *PolicyReport) int64 { return r.Untouched })
	p.numbers("events that change their session", func(r *PolicyReport) int64 { return r.Changed })
	p.numbers("events that get a session", func(r *PolicyReport) int64 { return r.Gained })
	p.numbers("events that lose their session", func(r *PolicyReport) int64 { return r.Lost })
	p.numbers("start marks added", func(r *PolicyReport) int64 { return r.MarksAdded })
	p.numbers("start marks removed", func(r *PolicyReport) int64 { return r.MarksRemoved })
}

func (p *printer) causes(name string, of func(*PolicyReport) map[string]int64) {
	all := map[string]bool{}
	for i := range p.report.Policies {
		for cause := range of(&p.report.Policies[i]) {
			all[cause] = true
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(all)) {
		p.numbers(name+cause, func(r *PolicyReport) int64 { return of(r)[cause] })
	}
}

// distribution draws sessions by classes, as they came and for each policy.
func (p *printer) distribution(title string, names []string, of func(*SessionReport) []Class) {
	sides := []*SessionReport{&p.report.Policies[0].Before}
	for i := range p.report.Policies {
		sides = append(sides, &p.report.Policies[i].After)
	}
	p.printf("\n%s\n", title)
	for i, name := range names {
		var cells []string
		for _, side := range sides {
			cells = append(cells, bar(of(side)[i].Sessions, side.Sessions))
		}
		p.row("  "+name, cells...)
	}
}

// bar draws the share that n has of a total, as wide as a column.
func bar(n, of int64) string {
	const width = columnWidth - 9
	share := float64(n) / float64(max(of, 1))
	eighths := int(share*width*8 + 0.5)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text + strings.Repeat(" ", width-utf8.RuneCountInString(text)) + fmt.Sprintf(" %5.1f %%", share*100)
}

// reasons writes the most important reasons of a policy: first those for which events
// change, then the others, both by frequency.
func (p *printer) reasons(policy *PolicyReport) {
	if len(policy.Reasons) == 0 {
		return
	}
	p.printf("\nReasons with %s\n", terminal.Safe(policy.Name))
	reasons := slices.Clone(policy.Reasons)
	slices.SortStableFunc(reasons, func(a, b ReasonReport) int {
		return cmp.Compare(rank(a.Action), rank(b.Action))
	})
	total := int64(0)
	for i := range reasons {
		total += reasons[i].Events
	}
	for i := range reasons[:min(len(reasons), shownReasons)] {
		r := &reasons[i]
		p.printf("  %-10s%-22s%14s %5.1f %%  such as %s", r.Action, r.Reason, humanize.Comma(r.Events),
			float64(r.Events)/float64(total)*100, terminal.Safe(r.Example.String()))
		if r.IDs != nil {
			p.printf("  anonymousId %q userId %q messageId %q", r.IDs.AnonymousID, r.IDs.UserID, r.IDs.MessageID)
		}
		p.printf("\n")
	}
}

func rank(action string) int {
	if action == session.Stamp.String() || action == session.Clear.String() {
		return 0
	}
	return 1
}

func clip(text string, width int) string {
	if r := []rune(text); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return text
}
