package main

import "fmt"

// growth sees that an event costs no more where there are more of them, or
// more sessions.
func (b *bench) growth() error {
	if err := b.growthOfBatches(); err != nil {
		return err
	}
	return b.growthOfSessions()
}

func (b *bench) growthOfBatches() error {
	binary, err := b.goBench("./enrich")
	if err != nil {
		return err
	}
	// It measures them in turns by itself.
	runs, err := b.repeat(min(b.rounds, 5), binary, "^BenchmarkGrowth$", "-test.benchtime", "1x")
	if err != nil {
		return err
	}
	first, err := series(runs, "BenchmarkGrowth", "ns/event-of-10")
	if err != nil {
		return err
	}
	for _, size := range []int{100, 1000} {
		values, err := series(runs, "BenchmarkGrowth", fmt.Sprintf("ns/event-of-%d", size))
		if err != nil {
			return err
		}
		b.table.compare(fmt.Sprintf("time per event, batch of %d", size), " ns", values, "batch of 10", first, atMost(1.1))
	}
	return nil
}

// growthOfSessions compares how much longer a look-up takes among more sessions
// with how much longer it takes in a bare LRU: the more there are, the fewer are
// in the processor's own memory, whatever finds them.
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
		b.table.compare(what, " x", grown, "golang-lru alone", ofLRU, atMost(1.1))
	}
	return nil
}
