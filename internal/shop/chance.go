package shop

import (
	"math"
	"math/rand/v2"
)

// between draws a time uniformly between two.
func between(r *rand.Rand, least, most int64) int64 { return least + r.Int64N(most-least+1) }

// scaled draws a time between two whose logarithm is uniformly distributed, so that
// short ones are more likely.
func scaled(r *rand.Rand, least, most float64) int64 {
	return int64(least * math.Pow(most/least, r.Float64()))
}

// lognormal draws from the log-normal distribution with mean 1; spread is the standard
// deviation of the logarithm.
func lognormal(r *rand.Rand, spread float64) float64 {
	return math.Exp(spread*r.NormFloat64() - spread*spread/2)
}

// geometric draws a number of repetitions with a mean, at most 60.
func geometric(r *rand.Rand, mean float64) int {
	return min(int(r.ExpFloat64()*mean+0.2), 60)
}

// clock is a device's clock: off by a constant and by a drift, until it is set.
type clock struct {
	off   int64
	drift float64
	set   int64 // when, in true time; 0 for never
}

func newClock(r *rand.Rand) clock {
	c := clock{drift: -30e-6 + 60e-6*r.Float64()}
	switch x := r.Float64(); {
	case x < ClockYearsShare:
		c.off = between(r, -2500*day, 2500*day)
	case x < ClockYearsShare+ClockDayShare:
		c.off = between(r, -day, day)
	case x < ClockYearsShare+ClockDayShare+ClockMinuteShare:
		c.off = int64(60 * second * r.NormFloat64())
	default:
		c.off = int64(0.5 * second * r.NormFloat64())
	}
	if r.Float64() < ClockSetShare {
		c.set = between(r, Start, End)
	}
	return c
}

// read returns what the clock shows at a true time.
func (c *clock) read(t int64) int64 {
	if c.set != 0 && t >= c.set {
		return t
	}
	return t + c.off + int64(c.drift*float64(t-Start))
}

// requestLatency draws how long a request takes in one direction, in milliseconds.
func (d *device) requestLatency(r *rand.Rand) int64 {
	latency := d.latency * (0.5 + 0.5*lognormal(r, 0.6))
	switch x := r.Float64(); {
	case x < 0.005:
		latency += float64(scaled(r, second, 30*second)) // it stalled
	case x < 0.15:
		latency *= 3 // a new connection, or a preflight
	}
	return 1 + int64(latency)
}
