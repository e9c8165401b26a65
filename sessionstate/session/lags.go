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
type Lags struct{ clocks [2]ClockLags }

// ClockLags are those of one clock. With them is what else is worth no write by
// itself: that an app was updated.
type ClockLags struct {
	recent [recentLags]Lag // the newest first
	// updated is what the device's clock read at the newest Application Installed or
	// Updated, until Application Opened has come, too, or the clock was set; 0 for
	// none. There are as many of these as of keys: its lag is one of the recent.
	updated int64
}

// Of returns the lags of one clock.
func (l *Lags) Of(c Clock) *ClockLags { return &l.clocks[c.index()] }

func (c Clock) index() int { return int(c - DeviceClock) }

// ObserveEvent notes what is to be remembered of a message that arrived at the given
// time, if it tells its clock.
func (l *Lags) ObserveEvent(e *Event, at int64) {
	if clock := e.Clock(); clock != NoClock {
		l.Of(clock).ObserveEvent(e, at)
	}
}

// ObserveEvent does what [Lags.ObserveEvent] does, for a message of the clock that l
// is of.
func (l *ClockLags) ObserveEvent(e *Event, at int64) {
	l.observe(e.Clock(), at-e.Times.Sent, at)
	l.observeStart(e, e.Times.Original)
}

// observeStart notes a cold start that happened at a moment.
func (l *Lags) observeStart(e *Event, m *Moment) {
	if m.Clock == DeviceClock {
		l.Of(DeviceClock).observeStart(e, m.Original)
	}
}

func (l *ClockLags) observeStart(e *Event, original int64) {
	if !e.restarts() || original < l.updated {
		return
	}
	if l.updated = 0; e.ColdStart == Updated {
		l.updated = original
	}
}

// update is the update whose Application Opened is still to come, as it is seen at
// time now; zero for none.
func (l *Lags) update(now int64) Moment {
	device := l.Of(DeviceClock)
	least, ok := device.smallest(now)
	if !ok || device.updated == 0 {
		return Moment{}
	}
	return Moment{Time: min(now, device.updated+least.Lag), Original: device.updated, Lag: least.Lag, Clock: DeviceClock}
}

// Observe notes the lag of a message that arrived at the given time. Messages
// of one request count once, by the smallest of their lags. A lag that cannot
// be one of the same clock makes the others forgotten.
func (l *Lags) Observe(c Clock, lag, at int64) { l.Of(c).observe(c, lag, at) }

func (l *ClockLags) observe(c Clock, lag, at int64) {
	if known, ok := l.smallest(at); ok && !c.near(lag, known.Lag) {
		*l = ClockLags{recent: [recentLags]Lag{{lag, at}}}
		return
	}
	if l.recent[0].At == at {
		l.recent[0].Lag = min(l.recent[0].Lag, lag)
		return
	}
	copy(l.recent[1:], l.recent[:recentLags-1])
	l.recent[0] = Lag{lag, at}
}

// Newest is the lag of the last request; its At is 0 if there was none.
func (l *ClockLags) Newest() Lag { return l.recent[0] }

// way returns how long the shortest way took to the proxy, the error of the
// clock included, as far as the message's own lag and those before it tell.
// stored is what the session has.
func (l *Lags) way(c Clock, lag, at int64, stored Lag) int64 {
	way := lag
	if known, ok := l.Of(c).smallest(at); ok {
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
	return stored.fresh(at) && stored.At > l.Of(c).recent[recentLags-1].At
}

func (c Clock) near(a, b int64) bool {
	d := a - b
	return -c.tolerance() <= d && d <= c.tolerance()
}

func (l Lag) fresh(at int64) bool { return l.At != 0 && at-l.At <= LagWindow }

// smallest returns the smallest lag of those that still count.
func (l *ClockLags) smallest(at int64) (least Lag, ok bool) {
	for _, l := range l.recent {
		if l.fresh(at) && (!ok || l.Lag < least.Lag) {
			least, ok = l, true
		}
	}
	return least, ok
}
