package shop

import "math/rand/v2"

// device is a browser or an app.
type device struct {
	home   *household
	number uint8
	kind   Kind
	owner  int  // which of the household's people uses it
	shared bool // all of them do
	random rand.PCG
	look   uint64 // what its brand, address and anonymousIds follow from
	clock  clock
	way    float64 // the usual time of a request one way, in milliseconds
	gap    float64 // the mean time from one visit to the next
	next   int64   // when the next visit begins

	// What the SDK stores. renamed is how often the anonymousId has changed, user
	// the number of who is logged in, from 1, or 0. tabs are what the tabs of JS
	// 1.1 have in memory.
	renamed   uint32
	user      int
	stored    sdkSession
	tabs      [2]sdkSession
	installed bool
	// held are events that are sent at the next visit. offline is until when there
	// is no network, free when the last batch was answered.
	held          []*event
	offline, free int64

	// The truth: the visit that goes on, how many events it has, and the time of the
	// last one. over: the next event begins another visit.
	visits, events uint16
	last           int64
	over           bool
	// stays are the newest visits, for the backend's events.
	stays [4]stay
}

// stay is a visit, from its first event to its last.
type stay struct {
	first, last int64
	person      int
	visit       uint16
}

// attend adds an event to the truth, and returns which visit it belongs to and its
// number in it.
func (d *device) attend(t int64, person int) (visit, number uint16) {
	if d.visits == 0 || d.over || t-d.last > VisitTimeout {
		d.visits++
		d.events = 0
		copy(d.stays[1:], d.stays[:])
		d.stays[0] = stay{first: t, visit: d.visits, person: person}
	}
	d.over = false
	d.last, d.stays[0].last = t, t
	d.events++
	return d.visits, d.events
}

// firstVisit draws when a device is first used in the month.
func (d *device) firstVisit(r *rand.Rand) int64 {
	return d.home.hours(r, Start+int64(d.gap*r.ExpFloat64()))
}

// nextVisit draws when a device is used next after a visit that ended at a time.
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

// hours moves a time to a time of the day, where the household is, at which people
// are awake, at most half a day away and not before the month.
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
