package session

import "math"

// AutomaticPolicy says who begins sessions when there is no manual one.
type AutomaticPolicy uint8

const (
	// AutomaticSDK leaves the SDK's own sessions as they are.
	AutomaticSDK AutomaticPolicy = iota
	// AutomaticProxy begins automatic sessions in the proxy, in the same way for every
	// SDK.
	AutomaticProxy
	// AutomaticOff removes the session fields: there are only manual sessions.
	AutomaticOff
	// AutomaticAdopt takes over the sessions that the SDKs begin themselves: they
	// keep their ids, and each has exactly one start mark.
	AutomaticAdopt
)

// IdentifyReset says for which SDKs an identify with another userId begins a new
// session.
type IdentifyReset uint8

const (
	// IdentifyResetWeb: all but native mobile SDKs, which is what the SDKs do
	// themselves.
	IdentifyResetWeb IdentifyReset = iota
	// IdentifyResetAlways: all SDKs.
	IdentifyResetAlways
	// IdentifyResetNever: none.
	IdentifyResetNever
)

// Policy is what an operator configures about sessions. It is not stored with a
// session: a change has effect at once.
type Policy struct {
	Automatic AutomaticPolicy
	// Timeout is the longest gap between two events of an automatic session, and how
	// long an adopted session stays current after its newest event, in milliseconds.
	Timeout int64
	// Cutoff is the maximum length of an automatic session, in milliseconds; 0 is no
	// limit.
	Cutoff int64
	// ManualTimeout is the longest gap between two events of a manual session, in
	// milliseconds; 0 is no limit.
	ManualTimeout int64
	IdentifyReset IdentifyReset
	// Shared: the messages of a key may come from several sources with different
	// policies. A device then keeps the Timeout and Cutoff of its own source, for the
	// events that follow it.
	Shared bool
	// Retention is how long a key is kept after its last message, in milliseconds; 0 is
	// for ever.
	Retention int64
}

// seenGrain is how much too early Session.Seen may be, in milliseconds. An exact one
// would need a write for every event.
func (p *Policy) seenGrain() int64 {
	const day = 24 * 60 * 60 * 1000
	if p.Retention == 0 {
		return math.MaxInt64
	}
	return min(day, p.Retention/16)
}

// Expired reports whether a session was last seen longer ago than the
// retention, and so is forgotten. now is in Unix milliseconds.
func (p *Policy) Expired(s *Session, now int64) bool {
	return p.Retention > 0 && now-s.Seen > p.Retention+p.seenGrain()
}

// of returns the policy with the timeouts of a device's own source.
func (p *Policy) of(s *Session) Policy {
	own := *p
	if p.Shared && s.Timeout != 0 {
		own.Timeout, own.Cutoff = s.Timeout, s.Cutoff
	}
	return own
}
