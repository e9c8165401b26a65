package session

// When an event happened (docs/sessions.md).

// Clock says which clock a message was timed by. A key has two, and what one
// device did is ordered by that device's own clock.
type Clock uint8

const (
	// NoClock: the message does not tell its clock. It has an event time only.
	NoClock Clock = iota
	// DeviceClock is that of all messages that do not come from a server.
	DeviceClock
	// ServerClock is that of messages whose channel is server.
	ServerClock
)

// tolerance is by how much, in milliseconds, the lags of two messages of one
// clock may differ. Beyond it the clock was set between them, or there were
// two clocks. Devices are corrected in steps and wait for the network for
// minutes; servers are in step with each other.
func (c Clock) tolerance() int64 {
	if c == ServerClock {
		return 1_000
	}
	return 120_000
}

// Moment is when something happened, as the message that told of it said.
type Moment struct {
	// Time is the event time by the proxy's clock, in Unix milliseconds.
	Time int64
	// Original is the reading of the sender's own clock, in Unix milliseconds,
	// and Lag the difference between the arrival of the message and its sentAt:
	// what the clock is off, plus the time that the request took. Both mean
	// nothing where Clock is NoClock.
	Original, Lag int64
	Clock         Clock
}

// At is a moment of which only the event time is known.
func At(t int64) Moment { return Moment{Time: t} }

// IsZero reports whether nothing is known of the moment.
func (m Moment) IsZero() bool { return m == Moment{} }

// SameClock reports whether two moments are readings of one clock that was not
// set between them.
func SameClock(a, b *Moment) bool {
	if a.Clock == NoClock || a.Clock != b.Clock {
		return false
	}
	d := a.Lag - b.Lag
	return -a.Clock.tolerance() <= d && d <= a.Clock.tolerance()
}

// Before reports whether a happened before b. Moments of one clock are compared
// by what that clock read, all others by event time.
//
// It is no order: of three moments, two of one clock and one of another, each
// can be before the next. So a timeline is never sorted: an entry is put after
// the newest one that is not after it, and all keep the order in which they
// were inserted.
func Before(a, b *Moment) bool {
	if SameClock(a, b) {
		return a.Original < b.Original
	}
	return a.Time < b.Time
}

// Sub returns how much later a happened than b, in milliseconds: negative if it
// happened before it.
func Sub(a, b *Moment) int64 {
	if SameClock(a, b) {
		return a.Original - b.Original
	}
	return a.Time - b.Time
}

// later returns the later of two moments, a if they are equal.
func later(a, b Moment) Moment {
	if Before(&a, &b) {
		return b
	}
	return a
}
