package clocksim

// connections is how many requests a browser sends to one host at the same time.
const connections = 6

// browse is a web SDK: each message is sent at once, in its own request.
func (d *device) browse() {
	var free [connections]float64
	for i := range free {
		free[i] = -1e9
	}
	d.live(func(t float64, control bool, session int) {
		t += d.delay
		m := d.message(t, control, session)
		switch {
		case !control || d.scenario.call == tracked:
			d.request(&free, m)
		case d.scenario.call == awaited:
			m.read = 0
			latency := d.callLatency()
			d.deliver(t+latency, 0, false, m)
			d.delay += latency + d.network.latency(d.Rand)
		default:
			d.deliver(t+d.callLatency(), d.clock.read(t+0.001), false, m)
		}
	})
}

// callLatency draws the latency of a call at an endpoint, for which the page often needs a
// new connection.
func (d *device) callLatency() float64 {
	latency := d.network.latency(d.Rand)
	if d.Float64() < 0.3 {
		latency *= 3
	}
	return latency
}

// request sends a message over the connection that is free first; if several are, over the
// one that was used last.
func (d *device) request(free *[connections]float64, m message) {
	sent := m.made + between(d.Rand, 0, 0.003)
	for attempt := 0; ; attempt++ {
		best := 0
		for i, at := range free {
			if start, known := max(at, sent), max(free[best], sent); start < known || start == known && at > free[best] {
				best = i
			}
		}
		start := max(free[best], sent)
		latency := d.network.latency(d.Rand)
		if start-free[best] > 60 {
			latency += 3 * d.network.latency(d.Rand) // the connection was closed
		}
		if d.Float64() < 0.15 {
			latency += 2 * d.network.latency(d.Rand) // a preflight
		}
		latency += d.stalled()
		back := d.network.latency(d.Rand)
		free[best] = start + latency + back
		lost, unanswered := d.loss(0.007, 0.005, attempt)
		if !lost {
			d.deliver(start+latency, d.clock.read(sent), false, m)
		}
		if !lost && !unanswered {
			return
		}
		sent = start + latency + back + 2*float64(int(1)<<attempt)
		if unanswered {
			d.deliver(sent+d.network.latency(d.Rand), d.clock.read(sent), true, m)
			return
		}
	}
}
