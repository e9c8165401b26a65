package main

import (
	"fmt"
	"strconv"
)

// growth sees that an event costs no more where there are more of them, or
// more sessions.
func (b *bench) growth() error {
	for _, g := range []struct {
		pkg, benchmark, unit, what string
		sizes                      []int
		format                     string
	}{
		{"./enrich", "BenchmarkGrowth", "ns/event", "time per event, batch of", []int{10, 100, 1000}, "events=%d"},
		{"./sessionstate", "BenchmarkSessions", "ns/op", "time of a look-up, sessions:", []int{10_000, 100_000, 1_000_000}, "sessions=%d"},
	} {
		binary, err := b.goBench(g.pkg)
		if err != nil {
			return err
		}
		runs, err := b.repeat(min(b.rounds, 5), binary, "^"+g.benchmark+"$")
		if err != nil {
			return err
		}
		name := func(size int) string { return g.benchmark + "/" + fmt.Sprintf(g.format, size) }
		first, err := series(runs, name(g.sizes[0]), g.unit)
		if err != nil {
			b.table.left(g.what+" "+strconv.Itoa(g.sizes[0]), "within 10 %", err.Error())
			continue
		}
		for _, size := range g.sizes[1:] {
			values, err := series(runs, name(size), g.unit)
			if err != nil {
				return err
			}
			b.table.compare(g.what+" "+strconv.Itoa(size), " ns", values, strconv.Itoa(g.sizes[0]), first, atMost(1.1))
		}
	}
	return nil
}
