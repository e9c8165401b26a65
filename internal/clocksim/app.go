package clocksim

import "math"

const (
	appBatch = 30 // the largest number of messages in a batch
	appFlush = 10 // the longest time in seconds that a message waits for others
)

// queue is an app's SDK: messages are queued and sent in batches, one after the
// other, when there is a network.
func (d *device) queue() {
	var queue []message
	d.live(func(t float64, control bool, session int) {
		queue = append(queue, d.message(t, control, session))
	})
	offline := d.offline(queue[len(queue)-1].made)
	free := -1e9
	for len(queue) > 0 {
		sent := max(free, queue[0].made+between(d.Rand, 0, appFlush))
		if len(queue) >= appBatch && queue[appBatch-1].made < sent {
			sent = max(free, queue[appBatch-1].made)
		}
		for _, o := range offline {
			if o[0] <= sent && sent < o[1] {
				sent = o[1] + between(d.Rand, 0, 5)
			}
		}
		n := 1
		for n < min(len(queue), appBatch) && queue[n].made <= sent {
			n++
		}
		free = d.post(sent, free, queue[:n])
		queue = queue[n:]
	}
}

// offline draws the periods without a network: of minutes, or of hours.
func (d *device) offline(end float64) (periods [][2]float64) {
	if d.scenario.offline == 0 {
		return nil
	}
	for t := d.scenario.offline * d.ExpFloat64(); t < end; t += d.scenario.offline * d.ExpFloat64() {
		back := t + math.Pow(10, between(d.Rand, 2, 4))
		periods = append(periods, [2]float64{t, back})
		t = back
	}
	return periods
}

// post sends a batch until it is answered, and returns the time of the answer.
func (d *device) post(sent, free float64, batch []message) (answered float64) {
	for attempt := 0; ; attempt++ {
		latency := d.network.latency(d.Rand)
		if sent-free > 60 {
			latency += 2 * d.network.latency(d.Rand) // a new connection
		}
		latency += d.stalled()
		lost, unanswered := d.loss(0.015, 0.01, attempt)
		wait := 3 * float64(int(1)<<attempt)
		if lost {
			sent += latency + d.network.latency(d.Rand) + wait
			continue
		}
		d.deliver(sent+latency, d.clock.read(sent), false, batch...)
		if unanswered {
			sent += latency + d.network.latency(d.Rand) + wait
			latency = d.network.latency(d.Rand)
			d.deliver(sent+latency, d.clock.read(sent), true, batch...)
		}
		return sent + latency + d.network.latency(d.Rand)
	}
}
