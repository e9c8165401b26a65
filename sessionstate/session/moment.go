package session

// When an event happened (docs/sessions.md).

// Clock says which clock a message's times were read from. A key has two. What one
// device did is ordered by that device's own clock.
type Clock uint8

const (
	// NoClock: the message does not tell its clock, and has only an event time.
	NoClock Clock = iota
	// DeviceClock is the clock of all messages that do not come from a server.
	DeviceClock
	// ServerClock is the clock of messages whose channel is server.
	ServerClock
)

// tolerance is the greatest difference, in milliseconds, between the lags of two
// messages of one clock. If they differ by more, the clock was set between the two, or
// there are two clocks. It is large for devices, whose clocks are corrected in steps
// and which may wait minutes for the network, and small for servers, whose clocks are
// synchronised.
func (c Clock) tolerance() int64 {
	if c == ServerClock {
		return 1_000
	}
	return 120_000
}

// Moment is when something happened, according to the message that reported it.
type Moment struct {
	// Time is the event time by the proxy's clock, in Unix milliseconds.
	Time int64
	// Original is the reading of the sender's own clock, in Unix milliseconds. Lag is
	// the arrival of the message minus its sentAt: the error of that clock plus the
	// time that the request took. Both are meaningless if Clock is NoClock.
	Original, Lag int64
	Clock         Clock
}

// At returns a moment of which only the event time is known.
func At(t int64) Moment { return Moment{Time: t} }

// IsZero reports whether nothing is known of the moment.
func (m Moment) IsZero() bool { return m == Moment{} }

// SameClock reports whether two moments are readings of one clock that was not set
// between the two.
func SameClock(a, b *Moment) bool {
	if a.Clock == NoClock || a.Clock != b.Clock {
		return false
	}
	d := a.Lag - b.Lag
	return -a.Clock.tolerance() <= d && d <= a.Clock.tolerance()
}

// Before reports whether a happened before b. Moments of one clock are compared by the
// readings of that clock, all others by event time.
//
// It is not transitive: of three moments, two of one clock and one of another, each
// can be before the next. So a timeline is never sorted: a new entry is put after the
// newest one that is not after it, and entries never change places.
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
