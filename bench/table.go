package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// row is a row of the table.
type row struct {
	what, figure, against, ratio, spread, goal, reached string
}

// table has the results.
type table struct {
	rows []row
	// capacities are the rows of the table of events a second for each core.
	capacities []string
}

var heading = row{"what", "figure", "reference", "ratio", "spread", "goal", "reached"}

func (r row) String() string {
	return "| " + strings.Join([]string{r.what, r.figure, r.against, r.ratio, r.spread, r.goal, r.reached}, " | ") + " |"
}

// print reports the progress.
func (t *table) print(lines ...string) {
	for _, line := range lines {
		fmt.Fprintln(os.Stderr, line)
	}
}

func (t *table) add(r row) {
	t.rows = append(t.rows, r)
}

// skipped records why a row could not be measured.
func (t *table) skipped(what, goal, why string) {
	t.add(row{what: what, figure: why, goal: goal, reached: "not measured"})
}

func (t *table) finish() {
	fmt.Println(machine())
	fmt.Println()
	fmt.Println(heading)
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, r := range t.rows {
		fmt.Println(r)
	}
	if len(t.capacities) > 0 {
		fmt.Printf("\n| events that a core of the proxy carries, a second | |\n|---|---|\n%s\n", strings.Join(t.capacities, "\n"))
	}
}

// capacity records how many events a second use a whole core.
func (t *table) capacity(traffic, contestant string, events float64) {
	t.capacities = append(t.capacities, fmt.Sprintf("| %s: %s | %.0f |", traffic, contestant, events))
}

// bound is a goal: the largest, or the smallest, figure that is good enough.
type bound struct {
	limit float64
	least bool
	unit  string
}

func atMost(limit float64) bound  { return bound{limit: limit, unit: " x"} }
func atLeast(limit float64) bound { return bound{limit: limit, least: true, unit: " x"} }

func (b bound) String() string {
	switch {
	case b.limit == 0 && b.unit == "":
		return ""
	case b.least:
		return fmt.Sprintf(">= %g%s", b.limit, b.unit)
	}
	return fmt.Sprintf("<= %g%s", b.limit, b.unit)
}

func (b bound) reached(value float64) string {
	switch {
	case b.unit == "":
		return ""
	case b.least && value >= b.limit, !b.least && value <= b.limit:
		return "yes"
	}
	return "no"
}

// compare adds a row for two series whose values with the same index were measured in
// the same round. It shows the median of their ratios, and the quartiles.
func (t *table) compare(what, unit string, values []float64, against string, references []float64, goal bound) {
	var ratios []float64
	for i := range values {
		ratios = append(ratios, values[i]/references[i])
	}
	q1, ratio, q3 := quartiles(ratios)
	t.add(row{
		what: what, figure: number(median(values)) + unit,
		against: against + ": " + number(median(references)) + unit,
		ratio:   fmt.Sprintf("%.3f", ratio), spread: fmt.Sprintf("%.3f to %.3f", q1, q3),
		goal: goal.String(), reached: goal.reached(ratio),
	})
}

func number(v float64) string {
	switch {
	case v == 0 || math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func quartiles(values []float64) (q1, q2, q3 float64) {
	sorted := slices.Sorted(slices.Values(values))
	at := func(part float64) float64 {
		place := part * float64(len(sorted)-1)
		below := int(place)
		above := min(below+1, len(sorted)-1)
		return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
	}
	return at(0.25), at(0.5), at(0.75)
}

func median(values []float64) float64 {
	_, m, _ := quartiles(values)
	return m
}

// machine describes the machine on which the benchmark runs.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := exec.Command("uname", "-sr").Output()
	return fmt.Sprintf("%d cores (%s), %s, %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)), runtime.Version())
}
