package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// latency measures how long a request takes while requests come at a fixed rate,
// whether earlier ones are answered or not. The rate is half of what plain Caddy
// reaches on its half of this machine's processors; the load and the upstream have the
// other half.
func (b *bench) latency() error {
	t := b.recorded.singles(false)
	contestants, err := b.contestants(plainCaddy, memory, file, redis, example)
	if err != nil {
		return err
	}
	undo, apart, err := b.keepApart(contestants)
	if err != nil {
		return err
	}
	defer undo()
	if !apart {
		b.table.skipped("p99 latency, one event", "<= +0.2 ms", "one processor for proxies and load")
		return nil
	}
	plain := contestants[0]
	if _, err := burst(plain, t.requests, false, b.slice); err != nil {
		return err
	}
	done, err := burst(plain, t.requests, false, b.slice)
	if err != nil {
		return err
	}
	rate := max(1, int(float64(done)/b.slice.Seconds()/2))
	p99 := map[string][]float64{}
	for round := range b.rounds + 1 {
		for _, i := range rand.Perm(len(contestants)) {
			c := contestants[i]
			latencies, err := attack(c, t.requests, rate, max(2*b.slice, time.Second))
			if err != nil {
				return fmt.Errorf("%s: %v", c.name, err)
			}
			if round > 0 {
				p99[c.name] = append(p99[c.name], quantile(latencies, 0.99).Seconds()*1000)
			}
		}
		b.table.print(fmt.Sprintf("latency, round %d of %d", round, b.rounds))
	}
	const limit = 0.2
	// Milliseconds above which the machine, not the proxies, makes requests wait.
	const busy = 50
	for _, c := range contestants[1:] {
		values, references := p99[c.name], p99[plainCaddy]
		var more []float64
		for i := range values {
			more = append(more, values[i]-references[i])
		}
		what := fmt.Sprintf("p99 latency, one event, %d a second: %s", rate, c.name)
		goal := fmt.Sprintf("<= +%g ms", limit)
		if reference := median(references); reference > busy {
			b.table.skipped(what, goal, fmt.Sprintf("the machine is too busy: %.0f ms with %s", reference, plainCaddy))
			continue
		}
		q1, middle, q3 := quartiles(more)
		_, value, _ := quartiles(values)
		_, reference, _ := quartiles(references)
		reached := bound{limit: limit, unit: " ms"}.reached(middle)
		if q1 <= limit && q3 > limit {
			reached = "cannot be told" // the machine is too busy with other work
		}
		b.table.add(row{
			what:    what,
			figure:  fmt.Sprintf("%.2f ms", value),
			against: fmt.Sprintf("%s: %.2f ms", plainCaddy, reference),
			ratio:   fmt.Sprintf("%+.2f ms", middle), spread: fmt.Sprintf("%+.2f to %+.2f ms", q1, q3),
			goal: goal, reached: reached,
		})
	}
	return nil
}

// paced is the largest number of connections for requests at a fixed rate. If a proxy
// falls further behind, requests wait for a free one.
const paced = 128

// attack sends requests at a rate for a while. The latency of a request counts from
// when it was due, not from when it was sent, so that waiting behind slow requests
// counts too.
func attack(c *contestant, requests []request, rate int, d time.Duration) ([]time.Duration, error) {
	l := &load{
		contestant: c, requests: requests, begun: time.Now(), interval: time.Second / time.Duration(rate),
		deadline: time.Now().Add(d),
	}
	if _, err := l.run(paced); err != nil {
		return nil, err
	}
	// Leave out the first tenth, which opens the connections.
	latencies := l.latencies[min(len(l.latencies), int(float64(rate)*d.Seconds()/10)):]
	if len(latencies) == 0 {
		return nil, fmt.Errorf("no answers in %s", d)
	}
	return latencies, nil
}

func quantile(latencies []time.Duration, part float64) time.Duration {
	slices.Sort(latencies)
	return latencies[int(part*float64(len(latencies)-1))]
}
