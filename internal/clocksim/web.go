package clocksim

// connections is how many requests a browser sends to one host at a time.
const connections = 6

// browse is a web SDK: each message is a request of its own, sent at once.
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
			way := d.callWay()
			d.deliver(t+way, 0, false, m)
			d.delay += way + d.network.way(d.Rand)
		default:
			d.deliver(t+d.callWay(), d.clock.read(t+0.001), false, m)
		}
	})
}

// callWay is the way of a call of an endpoint, which the page makes itself and
// often needs a connection for.
func (d *device) callWay() float64 {
	way := d.network.way(d.Rand)
	if d.Float64() < 0.3 {
		way *= 3
	}
	return way
}

// request sends a message by the connection that is free first, of these the one
// that was used last.
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
		way := d.network.way(d.Rand)
		if start-free[best] > 60 {
			way += 3 * d.network.way(d.Rand) // the connection was closed
		}
		if d.Float64() < 0.15 {
			way += 2 * d.network.way(d.Rand) // a preflight
		}
		way += d.stalled()
		back := d.network.way(d.Rand)
		free[best] = start + way + back
		lost, unanswered := d.fate(0.007, 0.005, attempt)
		if !lost {
			d.deliver(start+way, d.clock.read(sent), false, m)
		}
		if !lost && !unanswered {
			return
		}
		sent = start + way + back + 2*float64(int(1)<<attempt)
		if unanswered {
			d.deliver(sent+d.network.way(d.Rand), d.clock.read(sent), true, m)
			return
		}
	}
}
