package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// latency measures how long a request takes while requests come at a fixed rate,
// whether earlier ones are answered or not: half of what Caddy alone can do
// on this machine, next to the load and the upstream.
func (b *bench) latency() error {
	t := b.recorded.singles(false)
	contestants, err := b.contestants(plainCaddy, memory, file, redis, example)
	if err != nil {
		return err
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
	// Milliseconds above which it is not the proxies that are waited for.
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
			b.table.left(what, goal, fmt.Sprintf("the machine is too busy: %.0f ms with %s", reference, plainCaddy))
			continue
		}
		q1, middle, q3 := quartiles(more)
		_, value, _ := quartiles(values)
		_, reference, _ := quartiles(references)
		b.table.add(row{
			what:    what,
			figure:  fmt.Sprintf("%.2f ms", value),
			against: fmt.Sprintf("%s: %.2f ms", plainCaddy, reference),
			ratio:   fmt.Sprintf("%+.2f ms", middle), spread: fmt.Sprintf("%+.2f to %+.2f ms", q1, q3),
			goal: goal, reached: bound{limit: limit, unit: " ms"}.reached(middle),
		})
	}
	return nil
}

// attack sends requests at a rate for a while. A request's latency is from when
// it was due, not from when it could be sent: what makes one wait that is in
// its way counts.
func attack(c *contestant, requests []request, rate int, d time.Duration) ([]time.Duration, error) {
	var next atomic.Int64
	next.Store(int64(c.next))
	targeter := func(t *vegeta.Target) error {
		r := &requests[int(next.Add(1)-1)%len(requests)]
		t.Method, t.URL, t.Body, t.Header = "POST", "http://"+c.address+r.path, r.body, r.header
		return nil
	}
	// Where a proxy falls behind, requests wait for one of so many connections.
	const most = 256
	attacker := vegeta.NewAttacker(vegeta.HTTP2(false), vegeta.MaxBody(0), vegeta.Connections(most), vegeta.MaxConnections(most))
	interval := time.Second / time.Duration(rate)
	// The first tenth makes the connections.
	skipped := uint64(float64(rate) * d.Seconds() / 10)
	var latencies []time.Duration
	begun := time.Now()
	for result := range attacker.Attack(targeter, vegeta.ConstantPacer{Freq: rate, Per: time.Second}, d, "") {
		if result.Error != "" {
			attacker.Stop()
			return nil, fmt.Errorf("%s", result.Error)
		}
		if result.Seq >= skipped {
			// vegeta's first request is due after one interval.
			due := begun.Add(time.Duration(result.Seq+1) * interval)
			latencies = append(latencies, max(result.End().Sub(due), result.Latency))
		}
	}
	c.next = int(next.Load()) % len(requests)
	if len(latencies) == 0 {
		return nil, fmt.Errorf("no answers in %s", d)
	}
	return latencies, nil
}

func quantile(latencies []time.Duration, part float64) time.Duration {
	slices.Sort(latencies)
	return latencies[int(part*float64(len(latencies)-1))]
}
