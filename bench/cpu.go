package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

// scenario is traffic that several contestants get in turns.
type scenario struct {
	traffic
	h2 bool
	// figures are microseconds of processor time for each request, by contestant and
	// round.
	figures map[string][]float64
	// rates are requests a second, by contestant and round.
	rates map[string][]float64
}

func (s *scenario) title() string {
	if s.h2 {
		return s.name + ", HTTP/2"
	}
	return s.name
}

// takes reports whether a contestant supports the scenario's protocol.
func (s *scenario) takes(c *contestant) bool { return !s.h2 || c.h2 != "" }

// cpu measures the processor time that proxies use for a request.
func (b *bench) cpu() error { return b.processorTime(false, false) }

// gzip and http2 measure the same with other requests.
func (b *bench) gzip() error  { return b.processorTime(true, false) }
func (b *bench) http2() error { return b.processorTime(false, true) }

func (b *bench) processorTime(zip, h2 bool) error {
	scenarios := []*scenario{
		{traffic: b.recorded.singles(zip), h2: h2},
		{traffic: b.recorded.batches(100, zip), h2: h2},
	}
	contestants, err := b.contestants(slices.Concat(b.only, b.also, b.earlier())...)
	if err != nil {
		return err
	}
	for _, c := range contestants {
		for _, s := range scenarios {
			if err := c.check(s.traffic); err != nil {
				return fmt.Errorf("%s: %v", c.name, err)
			}
		}
	}
	for _, s := range scenarios {
		s.figures, s.rates = map[string][]float64{}, map[string][]float64{}
	}
	// The first round warms everything up and is not counted.
	for round := range b.rounds + 1 {
		for _, s := range scenarios {
			if err := b.round(s, contestants, round > 0); err != nil {
				return err
			}
		}
		b.table.print(fmt.Sprintf("round %d of %d", round, b.rounds))
	}
	for _, s := range scenarios {
		if b.profiles != "" {
			if err := b.profile(s, contestants); err != nil {
				return err
			}
		}
		b.cpuRows(s)
		if s.zip {
			if err := b.decompression(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// turns is how many turns each contestant has in a round: the shorter a turn, the less
// the state of the machine differs between contestants.
const turns = 8

// round loads the contestants in turns. Between its turns a contestant is nearly idle,
// so that its processor time over the whole round is that of its requests, with the
// work that it does for them afterwards.
func (b *bench) round(s *scenario, contestants []*contestant, counts bool) error {
	begun, done := map[string]time.Duration{}, map[string]int{}
	for _, c := range contestants {
		var err error
		if begun[c.name], err = c.cpu(); err != nil {
			return err
		}
	}
	for range turns {
		for _, i := range rand.Perm(len(contestants)) {
			c := contestants[i]
			if !s.takes(c) {
				continue
			}
			n, err := burst(c, s.requests, s.h2, b.slice/turns)
			if err != nil {
				return err
			}
			done[c.name] += n
		}
	}
	for _, c := range contestants {
		ended, err := c.cpu()
		if err != nil {
			return err
		}
		if n := done[c.name]; counts && n > 0 {
			s.figures[c.name] = append(s.figures[c.name], float64((ended-begun[c.name]).Microseconds())/float64(n))
			s.rates[c.name] = append(s.rates[c.name], float64(n)/b.slice.Seconds())
		}
	}
	return nil
}

func (b *bench) cpuRows(s *scenario) {
	compare := func(name, reference string, goal bound) {
		values, references := s.figures[name], s.figures[reference]
		what := fmt.Sprintf("CPU per request, %s: %s", s.title(), name)
		switch {
		case len(references) == 0 && slices.Contains(b.only, reference):
			b.table.skipped(what, goal.String(), "no "+reference)
		case len(references) > 0 && len(values) > 0:
			b.table.compare(what, " us", values, reference, references, goal)
		}
	}
	toPlain, toLua, exampleToLua := s.goals()
	for _, name := range []string{memory, file, redis} {
		compare(name, plainCaddy, toPlain)
	}
	for _, name := range []string{memory, file, redis} {
		compare(name, luaNginx, toLua)
	}
	compare(file, stockCaddy, bound{})
	compare(example, stockCaddy, bound{})
	compare(example, plainCaddy, bound{})
	compare(example, luaNginx, exampleToLua)
	compare(luaNginx, plainNginx, bound{})
	for _, name := range b.only {
		if values := s.figures[name]; len(values) > 0 {
			b.table.capacity(s.title(), name, float64(s.events)*1e6/median(values))
		}
	}
	for _, earlier := range b.earlier() {
		name, _ := variant(earlier)
		compare(name, earlier, s.growth())
	}
	for _, name := range b.also {
		base, _ := variant(name)
		compare(name, plainCaddy, bound{})
		if base != plainCaddy {
			compare(name, base, bound{})
		}
		compare(name, luaNginx, bound{})
	}
}

// goals returns the goals of the comparisons with plain Caddy and with Lua. They hold
// for what most SDKs send: HTTP/1.1 and uncompressed bodies. Plain Caddy does not
// decompress, and no proxy that does can come near it.
func (s *scenario) goals() (toPlain, toLua, exampleToLua bound) {
	switch {
	case s.h2 || s.zip:
		return
	case s.events == 1:
		return atMost(1.03), bound{}, atMost(2)
	}
	return atMost(1.30), atMost(0.20), bound{}
}

// growth is how much more processor time than in an earlier build is allowed.
func (s *scenario) growth() bound {
	if s.events == 1 {
		return atMost(1.02)
	}
	return atMost(1.15)
}

// earlier are the contestants that are measured in an earlier build too.
func (b *bench) earlier() (names []string) {
	for _, name := range handlers {
		if slices.Contains(b.only, name) && b.before != "" {
			names = append(names, name+"; BENCH_CADDY="+b.before)
		}
	}
	return names
}

// decompression measures how much of a request's time decompression alone takes, with
// the handler's library.
func (b *bench) decompression(s *scenario) error {
	// Measure the time of this thread only.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var reader gzip.Reader
	var times []float64
	for range b.rounds {
		begun, n := threadTime(), 0
		for ; threadTime()-begun < b.slice/10; n++ {
			if err := reader.Reset(bytes.NewReader(s.requests[n%len(s.requests)].body)); err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, &reader); err != nil {
				return err
			}
		}
		times = append(times, float64((threadTime()-begun).Microseconds())/float64(n))
	}
	q1, m, q3 := quartiles(times)
	b.table.add(row{what: "decompression alone, " + s.title(), figure: number(m) + " us", spread: number(q1) + " to " + number(q3) + " us"})
	return nil
}

func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var usage syscall.Rusage
	if err := syscall.Getrusage(thread, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// contestants starts the contestants that are installed on this machine, and starts
// sessions for the users of those that enforce sessions.
func (b *bench) contestants(names ...string) ([]*contestant, error) {
	names = slices.Clone(names)
	if b.parts.nginx == "" {
		b.table.print("no nginx with a Lua module: its rows are left out")
		names = slices.DeleteFunc(names, func(name string) bool { return name == plainNginx || name == luaNginx })
	}
	opening := b.recorded.opening()
	var started []*contestant
	for _, name := range names {
		if c := b.started[name]; c != nil {
			started = append(started, c)
			continue
		}
		c, err := b.contestant(name)
		if err != nil {
			return nil, err
		}
		if c.sessions {
			if err := sendAll(c, opening.requests, 1); err != nil {
				return nil, err
			}
		}
		b.started[name] = c
		started = append(started, c)
	}
	return started, nil
}
