package main

// adopt compares the core's work for an event of an adopted session with that for an
// event of a manual session. Neither writes.
func (b *bench) adopt() error {
	binary, err := b.goBench("./sessionstate/session")
	if err != nil {
		return err
	}
	runs, err := b.repeat(min(b.rounds, 5), binary, `^BenchmarkTransition$/^(unchanged|adopted)$/^messages=1$`)
	if err != nil {
		return err
	}
	values, err := series(runs, "BenchmarkTransition/adopted/messages=1", "ns/op")
	if err != nil {
		return err
	}
	references, err := series(runs, "BenchmarkTransition/unchanged/messages=1", "ns/op")
	if err != nil {
		return err
	}
	b.table.compare("an event of an adopted session", " ns", values, "of a manual session", references, atMost(1.1))
	return nil
}
