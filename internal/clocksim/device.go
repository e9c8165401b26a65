package clocksim

import "math/rand/v2"

// message is one message of a device, as it was made.
type message struct {
	made    float64 // in true time
	control bool
	// session is the session that an event was made in, 1 for the first and 0 for
	// none, or that a control call begins.
	session int
	// number is the position of the message among those of its device.
	number int
	// read is the time by the device's clock; 0 for a message without timestamps.
	read int64
}

// delivery is one arrival of a request.
type delivery struct {
	at       float64 // in true time
	received int64   // by the clock of the proxy that it arrived at
	sent     int64   // by the device's clock; 0 if it does not say
	proxy    int
	messages []message
	// again: the same messages had arrived before.
	again bool
}

// proxies is the number of proxies to which the requests of a device go.
const proxies = 2

// proxyAhead is how many milliseconds the clock of each proxy is ahead.
var proxyAhead = [proxies]int64{0, 5}

// device is a simulated device.
type device struct {
	*rand.Rand
	scenario *Scenario
	clock    deviceClock
	network  network
	made     int
	// delay is how much later than planned the device acts, because it awaited calls.
	delay float64
	// stalls: the device's next request takes up to a minute.
	stalls     bool
	deliveries []delivery
}

// bursts are the times, in seconds, between the events around a call.
var bursts = [...]float64{0.002, 0.1, 1, 30}

// live simulates calls of startSession, with events shortly before and after each call,
// and some later ones.
func (d *device) live(do func(t float64, control bool, session int)) {
	t := between(d.Rand, 0, 60)
	for session := 1; session <= d.scenario.sessions; session++ {
		gap := bursts[d.IntN(len(bursts))]
		event := func(session int) {
			do(t, false, session)
			t += gap * between(d.Rand, 0.5, 1.5)
		}
		before := 3
		if session == 1 {
			before = 1 + d.IntN(3)
		}
		for range before {
			event(session - 1)
		}
		do(t, true, session)
		t += gap * between(d.Rand, 0.5, 1.5)
		for range 3 {
			event(session)
		}
		for range 2 + d.IntN(4) {
			t += between(d.Rand, 5, 60)
			do(t, false, session)
		}
		t += between(d.Rand, d.scenario.pause[0], d.scenario.pause[1])
	}
}

// message makes a message.
func (d *device) message(t float64, control bool, session int) message {
	d.made++
	return message{made: t, control: control, session: session, number: d.made, read: d.clock.read(t)}
}

// deliver records the arrival of a request.
func (d *device) deliver(at float64, sent int64, again bool, messages ...message) {
	proxy := d.IntN(proxies)
	d.deliveries = append(d.deliveries, delivery{
		at: at, received: millis(at) + proxyAhead[proxy], sent: sent, proxy: proxy, messages: messages, again: again,
	})
}

// stalled is the additional latency of a request, if it is the one that stalls.
func (d *device) stalled() float64 {
	if !d.stalls {
		return 0
	}
	d.stalls = false
	return between(d.Rand, 20, 60)
}

// loss draws whether a request, or its answer, is lost, so that it is sent again.
func (d *device) loss(lost, unanswered float64, attempt int) (isLost, isUnanswered bool) {
	x := d.Float64()
	return x < lost && attempt < retries, x >= lost && x < lost+unanswered && attempt < retries
}

// retries is the largest number of retries of a request.
const retries = 4
