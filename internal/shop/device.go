package shop

import "math/rand/v2"

// device is a browser or an app.
type device struct {
	home    *household
	number  uint8
	kind    Kind
	owner   int  // the index of the person who uses it
	shared  bool // the whole household uses it
	random  rand.PCG
	seed    uint64 // for its brand, address and anonymousIds
	clock   clock
	latency float64 // the usual time of a request in one direction, in milliseconds
	gap     float64 // the mean time from one visit to the next
	next    int64   // when the next visit begins

	// The SDK's state. renamed is how often the anonymousId has changed; user is the
	// number, from 1, of the user who is logged in, 0 for none; tabs are the sessions
	// that the tabs of JS 1.1 have in memory.
	renamed   uint32
	user      int
	stored    sdkSession
	tabs      [2]sdkSession
	installed bool
	// held are events that are sent at the next visit. offline is the end of the time
	// without a network; free is when the last batch was answered.
	held          []*event
	offline, free int64

	// The truth: the number of the current visit, how many events it has, and the time
	// of the last one. over: the next event begins another visit.
	visits, events uint16
	last           int64
	over           bool
	// recentVisits are the newest visits, the latest first: the backend's events look
	// for theirs in it.
	recentVisits [4]visitSpan
}

// visitSpan is the time of a visit, from its first event to its last.
type visitSpan struct {
	first, last int64
	person      int
	visit       uint16
}

// attend records an event at time t in the truth, and returns its visit and its number
// in the visit.
func (d *device) attend(t int64, person int) (visit, number uint16) {
	if d.visits == 0 || d.over || t-d.last > VisitTimeout {
		d.visits++
		d.events = 0
		copy(d.recentVisits[1:], d.recentVisits[:])
		d.recentVisits[0] = visitSpan{first: t, visit: d.visits, person: person}
	}
	d.over = false
	d.last, d.recentVisits[0].last = t, t
	d.events++
	return d.visits, d.events
}

// firstVisit draws the time of the device's first visit in the month.
func (d *device) firstVisit(r *rand.Rand) int64 {
	return d.home.hours(r, Start+int64(d.gap*r.ExpFloat64()))
}

// nextVisit draws the time of the next visit after one that ended at a time.
func (d *device) nextVisit(r *rand.Rand, ended int64) int64 {
	if r.Float64() < ReturnShare {
		return ended + scaled(r, 31*minute, 3*hour)
	}
	next := ended + 31*minute + int64(d.gap*r.ExpFloat64())
	if next-ended < 12*hour {
		return next
	}
	return max(d.home.hours(r, next), ended+31*minute)
}

// hourWeights is how many of 100 visits begin in each hour of a day.
var hourWeights = [24]int{3, 1, 1, 0, 0, 1, 2, 3, 4, 4, 4, 4, 5, 5, 4, 4, 4, 5, 6, 8, 10, 10, 7, 5}

// hours moves a time to a likely hour of the day in the household's time zone, by at
// most half a day and not to before the month.
func (h *household) hours(r *rand.Rand, t int64) int64 {
	x, of := r.IntN(100), 0
	for x -= hourWeights[of]; x >= 0; x -= hourWeights[of] {
		of++
	}
	local := int64(of)*hour + r.Int64N(hour)
	moved := t - (t+zones[h.zone].offset)%day + local
	switch {
	case moved-t > 12*hour:
		moved -= day
	case t-moved > 12*hour:
		moved += day
	}
	if moved < Start {
		moved += day
	}
	return moved
}
