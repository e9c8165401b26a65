package main

import (
	"fmt"
	"strconv"
)

// encoding measures keep_encoding: the processor time of compressing a body again, and
// the bytes that it saves on the way to the upstream.
func (b *bench) encoding() error {
	contestants, err := b.contestants(memory, keeping)
	if err != nil {
		return err
	}
	for _, s := range []*scenario{{traffic: b.recorded.singles(true)}, {traffic: b.recorded.batches(100, true)}} {
		s.figures, s.rates = map[string][]float64{}, map[string][]float64{}
		for _, c := range contestants {
			if err := c.check(s.traffic); err != nil {
				return fmt.Errorf("%s: %v", c.name, err)
			}
		}
		// The first round warms everything up and is not counted.
		for round := range b.rounds + 1 {
			if err := b.round(s, contestants, round > 0); err != nil {
				return err
			}
			b.table.print(fmt.Sprintf("encoding, round %d of %d", round, b.rounds))
		}
		b.table.compare(fmt.Sprintf("CPU per request, %s: %s", s.title(), keeping), " us",
			s.figures[keeping], memory, s.figures[memory], bound{})
		sent := 0
		for i := range s.requests {
			sent += len(s.requests[i].body)
		}
		for _, c := range contestants {
			upstream, err := b.bytesUpstream(c, s.requests)
			if err != nil {
				return err
			}
			b.table.add(row{
				what:    fmt.Sprintf("bytes upstream per request, %s: %s", s.title(), c.name),
				figure:  number(upstream),
				against: "as it came: " + number(float64(sent)/float64(len(s.requests))),
				ratio:   fmt.Sprintf("%.3f", upstream*float64(len(s.requests))/float64(sent)),
			})
		}
	}
	return nil
}

// bytesUpstream returns how many bytes of a request's body reach the upstream,
// on average.
func (b *bench) bytesUpstream(c *contestant, requests []request) (float64, error) {
	received := func() (n int, err error) {
		text, err := b.ask("/received")
		if err == nil {
			n, err = strconv.Atoi(text)
		}
		return n, err
	}
	before, err := received()
	if err != nil {
		return 0, err
	}
	if err := sendAll(c, requests, connections); err != nil {
		return 0, err
	}
	after, err := received()
	return float64(after-before) / float64(len(requests)), err
}
