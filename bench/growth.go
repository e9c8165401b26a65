package main

import "fmt"

// growth checks that an event costs no more when there are more of them, or more
// sessions.
func (b *bench) growth() error {
	if err := b.growthOfBatches(); err != nil {
		return err
	}
	if err := b.growthOfEvents(); err != nil {
		return err
	}
	return b.growthOfSessions()
}

// growthOfBatches compares what an event costs in batches of different sizes.
func (b *bench) growthOfBatches() error {
	return b.grows("BenchmarkGrowth", []growing{
		{"batch of 10", "ns/event-of-10"},
		{"batch of 100", "ns/event-of-100"},
		{"batch of 1000", "ns/event-of-1000"},
	})
}

// growthOfEvents compares what an event of one of a hundred users in a batch
// costs among different numbers of sessions, all of which are in use.
func (b *bench) growthOfEvents() error {
	return b.grows("BenchmarkSessions", []growing{
		{"10000 sessions", "ns/event-of-10000-sessions"},
		{"100000 sessions", "ns/event-of-100000-sessions"},
		{"1000000 sessions", "ns/event-of-1000000-sessions"},
	})
}

// growing is a case of a benchmark in package enrich, which measures its cases in
// turns.
type growing struct{ name, unit string }

// grows compares the time per event of the first case with that of the others.
func (b *bench) grows(benchmark string, cases []growing) error {
	binary, err := b.goBench("./enrich")
	if err != nil {
		return err
	}
	runs, err := b.repeat(min(b.rounds, 5), binary, "^"+benchmark+"$", "-test.benchtime", "1x")
	if err != nil {
		return err
	}
	first, err := series(runs, benchmark, cases[0].unit)
	if err != nil {
		return err
	}
	for _, c := range cases[1:] {
		values, err := series(runs, benchmark, c.unit)
		if err != nil {
			return err
		}
		b.table.compare("time per event, "+c.name, " ns", values, cases[0].name, first, atMost(1.1))
	}
	return nil
}

// growthOfSessions compares how much longer a look-up takes among more sessions with
// how much longer it takes in a plain LRU: with more entries, fewer fit in the
// processor's caches, whatever the data structure.
func (b *bench) growthOfSessions() error {
	binary, err := b.goBench("./sessionstate")
	if err != nil {
		return err
	}
	runs, err := b.repeat(min(b.rounds, 5), binary, "^BenchmarkSessions$", "-test.cpu", "1")
	if err != nil {
		return err
	}
	growths := func(impl string, size int) (grown, times []float64, err error) {
		const few = 10_000
		name := "BenchmarkSessions/impl=" + impl + "/sessions="
		first, err := series(runs, name+fmt.Sprint(few), "ns/op")
		if err != nil {
			return nil, nil, err
		}
		if times, err = series(runs, name+fmt.Sprint(size), "ns/op"); err != nil {
			return nil, nil, err
		}
		for i := range times {
			grown = append(grown, times[i]/first[i])
		}
		return grown, times, nil
	}
	for _, size := range []int{100_000, 1_000_000} {
		grown, times, err := growths("table", size)
		if err != nil {
			return err
		}
		ofLRU, _, err := growths("golang-lru", size)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("time of a look-up among %d sessions (%.0f ns), in relation to 10000", size, median(times))
		b.table.compare(what, " x", grown, "golang-lru alone", ofLRU, bound{})
	}
	return nil
}
