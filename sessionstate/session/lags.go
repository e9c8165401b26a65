package session

// LagWindow is how long a lag counts, in milliseconds.
const LagWindow = 30 * 60 * 1000

// recentLags is the number of requests whose lags count.
const recentLags = 4

// Lag is the smallest lag of a request's messages, in milliseconds.
type Lag struct {
	Lag int64
	// At is when the request arrived, in Unix milliseconds; 0 for none.
	At int64
}

// Lags are the lags of the last requests of a key, for each of its clocks. The smallest
// is of the request with the shortest way, and gives the event time of messages whose
// own request took longer.
//
// They are in memory only. The smallest are stored with the session (Session.Lags) when
// it is written for another reason.
type Lags struct{ clocks [2]ClockLags }

// ClockLags are the lags of one clock. They also contain something else that is not
// worth a write by itself: that an app was updated.
type ClockLags struct {
	recent [recentLags]Lag // the newest first
	// updated is the reading of the device's clock at the newest Application Installed
	// or Updated, until its Application Opened has arrived or the clock was set; 0 for
	// none. Its lag is one of the recent ones.
	updated int64
}

// Of returns the lags of a clock other than NoClock.
func (l *Lags) Of(c Clock) *ClockLags { return &l.clocks[c.index()] }

func (c Clock) index() int { return int(c - DeviceClock) }

// ObserveEvent records a message that arrived at the given time, if it tells its clock.
func (l *Lags) ObserveEvent(e *Event, at int64) {
	if clock := e.Clock(); clock != NoClock {
		l.Of(clock).ObserveEvent(e, at)
	}
}

// ObserveEvent is [Lags.ObserveEvent] for a message that tells the clock of l.
func (l *ClockLags) ObserveEvent(e *Event, at int64) {
	l.observe(e.Clock(), at-e.Times.Sent, at)
	l.observeStart(e, e.Times.Original)
}

// observeStart records a cold start.
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

// update returns the moment of an update of the app whose Application Opened has not
// arrived by now; zero for none.
func (l *Lags) update(now int64) Moment {
	device := l.Of(DeviceClock)
	least, ok := device.smallest(now)
	if !ok || device.updated == 0 {
		return Moment{}
	}
	return Moment{Time: min(now, device.updated+least.Lag), Original: device.updated, Lag: least.Lag, Clock: DeviceClock}
}

// Observe records the lag of a message that arrived at the given time. The messages of
// a request count once, with the smallest of their lags. If the lag shows that the clock
// was set, the others are forgotten.
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

// Newest returns the lag of the last request; its At is 0 if there was none.
func (l *ClockLags) Newest() Lag { return l.recent[0] }

// way returns the smallest of a message's lag and those before it: the duration of the
// shortest way to the proxy, plus the error of the clock. stored is the session's lag.
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

// includes reports whether a stored lag can be of one of the last requests. An older one
// does not count, because clocks drift.
func (l *Lags) includes(c Clock, stored Lag, at int64) bool {
	return stored.fresh(at) && stored.At > l.Of(c).recent[recentLags-1].At
}

func (c Clock) near(a, b int64) bool {
	d := a - b
	return -c.tolerance() <= d && d <= c.tolerance()
}

func (l Lag) fresh(at int64) bool { return l.At != 0 && at-l.At <= LagWindow }

// smallest returns the smallest lag that still counts.
func (l *ClockLags) smallest(at int64) (least Lag, ok bool) {
	for _, l := range l.recent {
		if l.fresh(at) && (!ok || l.Lag < least.Lag) {
			least, ok = l, true
		}
	}
	return least, ok
}
