package session

// LagWindow is for how long, in milliseconds, a lag tells of the way that
// requests take.
const LagWindow = 30 * 60 * 1000

// recentLags is of how many requests the lags are remembered.
const recentLags = 4

// Lag is the smallest lag of a request, in milliseconds.
type Lag struct {
	Lag int64
	// At is when the request arrived, in Unix milliseconds; 0 for none.
	At int64
}

// Lags are those of the last requests of a key, for each of its clocks. They
// tell the shortest way that a request took lately, and so the time of events
// whose own request took longer.
//
// They live in memory only. What is known of them is stored with the session
// (Session.Lags) when that is written anyway.
type Lags struct{ recent [2]ClockLags }

// ClockLags are those of one clock, the newest first.
type ClockLags [recentLags]Lag

// Of returns the lags of one clock.
func (l *Lags) Of(c Clock) *ClockLags { return &l.recent[c.index()] }

func (c Clock) index() int { return int(c - DeviceClock) }

// Observe notes the lag of a message that arrived at the given time. Messages
// of one request count once, by the smallest of their lags. A lag that cannot
// be one of the same clock makes the others forgotten.
func (l *Lags) Observe(c Clock, lag, at int64) { l.Of(c).Observe(c, lag, at) }

// Observe does what [Lags.Observe] does, for the clock that l is of.
func (l *ClockLags) Observe(c Clock, lag, at int64) {
	if known, ok := smallest(l, at); ok && !c.near(lag, known.Lag) {
		*l = ClockLags{{lag, at}}
		return
	}
	if l[0].At == at {
		l[0].Lag = min(l[0].Lag, lag)
		return
	}
	copy(l[1:], l[:recentLags-1])
	l[0] = Lag{lag, at}
}

// Newest is when the last request arrived, in Unix milliseconds; 0 for none.
func (l *ClockLags) Newest() int64 { return l[0].At }

// way returns how long the shortest way took to the proxy, the error of the
// clock included, as far as the message's own lag and those before it tell.
// stored is what the session has.
func (l *Lags) way(c Clock, lag, at int64, stored Lag) int64 {
	way := lag
	if known, ok := smallest(l.Of(c), at); ok {
		if !c.near(lag, known.Lag) {
			return lag
		}
		way = min(way, known.Lag)
	}
	if l.includes(c, stored, at) && c.near(lag, stored.Lag) {
		way = min(way, stored.Lag)
	}
	return way
}

// includes reports whether a lag that was stored is of one of the last requests,
// as far as is known. One that is of an older request must not count for ever:
// clocks drift.
func (l *Lags) includes(c Clock, stored Lag, at int64) bool {
	return stored.fresh(at) && stored.At > l.recent[c.index()][recentLags-1].At
}

func (c Clock) near(a, b int64) bool {
	d := a - b
	return -c.tolerance() <= d && d <= c.tolerance()
}

func (l Lag) fresh(at int64) bool { return l.At != 0 && at-l.At <= LagWindow }

func smallest(recent *ClockLags, at int64) (least Lag, ok bool) {
	for _, l := range recent {
		if l.fresh(at) && (!ok || l.Lag < least.Lag) {
			least, ok = l, true
		}
	}
	return least, ok
}
