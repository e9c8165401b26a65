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
//
// With them is what else is worth no write by itself: that an app was updated.
type Lags struct {
	recent [2][recentLags]Lag // the newest first
	// updated is what the device's clock read at the newest Application Installed or
	// Updated, until Application Opened has come, too, or the clock was set; 0 for
	// none. There are as many of these as of keys: its lag is one of the recent.
	updated int64
}

func (c Clock) index() int { return int(c - DeviceClock) }

// ObserveEvent notes what is to be remembered of a message that arrived at the given
// time.
func (l *Lags) ObserveEvent(e *Event, at int64) {
	clock := e.Clock()
	if clock == NoClock {
		return
	}
	lag := at - e.Times.Sent
	l.Observe(clock, lag, at)
	l.observeStart(e, &Moment{Original: e.Times.Original, Clock: clock})
}

// observeStart notes a cold start that happened at a moment.
func (l *Lags) observeStart(e *Event, m *Moment) {
	if !e.restarts() || m.Clock != DeviceClock || m.Original < l.updated {
		return
	}
	if l.updated = 0; e.ColdStart == Updated {
		l.updated = m.Original
	}
}

// update is the update whose Application Opened is still to come, as it is seen at
// time now; zero for none.
func (l *Lags) update(now int64) Moment {
	least, ok := smallest(&l.recent[DeviceClock.index()], now)
	if !ok || l.updated == 0 {
		return Moment{}
	}
	return Moment{Time: min(now, l.updated+least.Lag), Original: l.updated, Lag: least.Lag, Clock: DeviceClock}
}

// Observe notes the lag of a message that arrived at the given time. Messages
// of one request count once, by the smallest of their lags. A lag that cannot
// be one of the same clock makes the others forgotten.
func (l *Lags) Observe(c Clock, lag, at int64) {
	recent := &l.recent[c.index()]
	if known, ok := smallest(recent, at); ok && !c.near(lag, known.Lag) {
		*recent = [recentLags]Lag{{lag, at}}
		if c == DeviceClock {
			l.updated = 0
		}
		return
	}
	if recent[0].At == at {
		recent[0].Lag = min(recent[0].Lag, lag)
		return
	}
	copy(recent[1:], recent[:recentLags-1])
	recent[0] = Lag{lag, at}
}

// way returns how long the shortest way took to the proxy, the error of the
// clock included, as far as the message's own lag and those before it tell.
// stored is what the session has.
func (l *Lags) way(c Clock, lag, at int64, stored Lag) int64 {
	way := lag
	recent := &l.recent[c.index()]
	if known, ok := smallest(recent, at); ok {
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

func smallest(recent *[recentLags]Lag, at int64) (least Lag, ok bool) {
	for _, l := range recent {
		if l.fresh(at) && (!ok || l.Lag < least.Lag) {
			least, ok = l, true
		}
	}
	return least, ok
}
