package clocksim

import (
	"fmt"
	"io"
)

// Print simulates a number of sessions for each row of the table, and prints it
// as Markdown.
func Print(w io.Writer, sessions int, seed uint64) error {
	fmt.Fprintf(w, "%d sessions a row, seed %d\n\n", sessions, seed)
	fmt.Fprintln(w, "| sessions with at least one wrong event, % | floor | by event time alone | the code |")
	fmt.Fprintln(w, "|---|---|---|---|")
	// The last row is another figure of the plain mobile row.
	var again string
	for i := range Scenarios {
		s := &Scenarios[i]
		r, err := Run(s, sessions, seed)
		if err != nil {
			return err
		}
		name, of, per := s.Name, float64(r.Sessions), 100.
		if s.automatic {
			name, per = name+": extra sessions per 1,000", 1000
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", name,
			figure(r.Floor, of, per), figure(r.EventTime.Wrong, of, per), figure(r.Table.Wrong, of, per))
		if s.Name == "mobile" {
			of = float64(r.Repeats)
			again = fmt.Sprintf("| the same delivery again, answered differently, %s | 0 | %s | %s |\n", s.Name,
				figure(r.EventTime.Unstable, of, per), figure(r.Table.Unstable, of, per))
		}
	}
	_, err := io.WriteString(w, again)
	return err
}

// figure formats a share with as many digits as are significant.
func figure(n int, of, per float64) string {
	if n == 0 {
		return "0"
	}
	v := float64(n) / max(of, 1) * per
	if v > -1 && v < 1 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.1f", v)
}
