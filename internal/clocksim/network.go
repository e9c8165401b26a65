package clocksim

import (
	"math"
	"math/rand/v2"
)

// network is the distribution of the latency of requests, in one direction, in seconds.
type network struct {
	// base is the usual latency. Its logarithm varies between requests with the standard
	// deviation spread, and between devices with the standard deviation differ.
	base, spread, differ float64
	// stalls is the share of requests that take between stallMin and stallMax
	// longer.
	stalls, stallMin, stallMax float64
}

var (
	wired  = network{base: 0.06, spread: 0.35, differ: 0.5, stalls: 0.005, stallMin: 0.1, stallMax: 3}
	mobile = network{base: 0.31, spread: 0.9, differ: 0.5, stalls: 0.02, stallMin: 1, stallMax: 60}
)

// at draws the network of one device.
func (n network) at(r *rand.Rand) network {
	n.base *= lognormal(r, n.differ)
	return n
}

// latency draws how long a request takes in one direction.
func (n *network) latency(r *rand.Rand) float64 {
	latency := n.base * (0.5 + 0.5*math.Exp(n.spread*r.NormFloat64()))
	if r.Float64() < n.stalls {
		latency += between(r, n.stallMin, n.stallMax)
	}
	return latency
}

func between(r *rand.Rand, least, most float64) float64 { return least + (most-least)*r.Float64() }

// lognormal draws from a log-normal distribution whose median is 1 or a little less;
// spread is the standard deviation of the logarithm.
func lognormal(r *rand.Rand, spread float64) float64 {
	return math.Exp(spread*r.NormFloat64() - spread/2)
}

// deviceClock is a device's clock: off by a constant, and by a drift.
type deviceClock struct{ off, drift float64 }

// newClock draws a clock. Seven in ten are right to half a second, two in ten to a minute;
// the others are wrong by hours, or by years. It drifts by at most drift ppm.
func newClock(r *rand.Rand, drift float64) deviceClock {
	c := deviceClock{drift: between(r, -drift, drift) * 1e-6}
	switch x := r.Float64(); {
	case x < 0.70:
		c.off = 0.5 * r.NormFloat64()
	case x < 0.90:
		c.off = 60 * r.NormFloat64()
	case x < 0.98:
		c.off = between(r, -86_400, 86_400)
	default:
		c.off = between(r, -3e8, 3e8)
	}
	return c
}

// read returns what the clock shows at a true time, in Unix milliseconds.
func (c deviceClock) read(t float64) int64 { return millis(t + c.off + c.drift*t) }

// epoch is the true time 0 of each device.
const epoch = 1_700_000_000_000

func millis(t float64) int64 { return epoch + int64(math.Floor(t*1000)) }
