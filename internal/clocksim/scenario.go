package clocksim

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// call is how startSession is called.
type call uint8

const (
	// tracked: as a track, which is sent like all events.
	tracked call = iota
	// timed: at the endpoint, with originalTimestamp and sentAt.
	timed
	// awaited: at the endpoint, without timestamps; the device does nothing until it has
	// the answer.
	awaited
)

// Scenario is one row of the table.
type Scenario struct {
	Name string
	call call
	// app: batches of an app's SDK over a mobile network; otherwise requests of a browser.
	app bool
	// automatic: startSession is not called, and the proxy makes the sessions (automatic
	// proxy).
	automatic bool
	// sessions is how many sessions each device has; pause is the shortest and the longest
	// time between two of them, in seconds.
	sessions int
	pause    [2]float64
	// offline is the mean time, in seconds, until the network is gone for a while; 0 if
	// there always is a network.
	offline float64
	// drift is the largest drift of the device's clock, in ppm; 0 for 100.
	drift float64
	// stalls: the first request of each device takes 20 to 60 s.
	stalls bool
}

var pause = [2]float64{60, 1200}

// Scenarios are the rows of the table. If calls have no timestamps, the device's clock is
// compared with the proxy's, and its drift while nothing is sent matters: a quartz is right
// to 20 ppm. The other rows hardly depend on it.
var Scenarios = []Scenario{
	{Name: "web, calls as tracks", sessions: 6, pause: pause},
	{Name: "web, endpoint call that tells its times", call: timed, sessions: 6, pause: pause},
	{Name: "web, endpoint call without times, awaited", call: awaited, sessions: 6, pause: pause, drift: 20},
	{Name: "the same, with a clock that drifts by up to 100 ppm", call: awaited, sessions: 6, pause: pause},
	{Name: "mobile", app: true, sessions: 6, pause: pause},
	{Name: "mobile, offline for hours", app: true, sessions: 6, pause: pause, offline: 3000},
	{Name: "mobile, first request stalled", app: true, sessions: 1, pause: pause, stalls: true},
	{Name: "`automatic proxy`, gaps of 29 to 31 min, mobile", app: true, automatic: true, sessions: 6, pause: [2]float64{1740, 1860}},
}

// deliveries are the requests of one device, in the order in which they arrive.
func (s *Scenario) deliveries(r *rand.Rand) []delivery {
	drift := s.drift
	if drift == 0 {
		drift = 100
	}
	d := &device{Rand: r, scenario: s, clock: newClock(r, drift), stalls: s.stalls}
	if s.app {
		d.network = mobile.at(r)
		d.queue()
	} else {
		d.network = wired.at(r)
		d.browse()
	}
	slices.SortStableFunc(d.deliveries, func(a, b delivery) int { return cmp.Compare(a.at, b.at) })
	return d.deliveries
}
