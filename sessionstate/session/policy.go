package session

import "math"

// AutomaticPolicy says who makes a session where there is no manual one.
type AutomaticPolicy uint8

const (
	// AutomaticSDK leaves the SDK's own sessions as they are.
	AutomaticSDK AutomaticPolicy = iota
	// AutomaticProxy makes automatic sessions in the proxy, for every SDK alike.
	AutomaticProxy
	// AutomaticOff removes the session fields: sessions are manual or not at all.
	AutomaticOff
	// AutomaticAdopt takes over the sessions that the SDKs begin themselves: they
	// keep their ids, and each has exactly one start mark.
	AutomaticAdopt
)

// IdentifyReset says which SDKs' identify with another userId begins a new
// session.
type IdentifyReset uint8

const (
	// IdentifyResetWeb: all but native mobile SDKs, as the SDKs themselves do.
	IdentifyResetWeb IdentifyReset = iota
	// IdentifyResetAlways: all SDKs.
	IdentifyResetAlways
	// IdentifyResetNever: none.
	IdentifyResetNever
)

// Policy is what an operator decides about sessions. It is no part of the
// state: a changed policy holds at once.
type Policy struct {
	Automatic AutomaticPolicy
	// Timeout is the longest gap between two events of one automatic session
	// of the proxy's own, and for how long after its newest event an adopted
	// session is current, in milliseconds.
	Timeout int64
	// Cutoff is the greatest length of an automatic session of the proxy's own, in
	// milliseconds; 0 is no bound.
	Cutoff int64
	// ManualTimeout is the longest gap between two events of one manual session,
	// in milliseconds; 0 is no bound.
	ManualTimeout int64
	IdentifyReset IdentifyReset
	// Shared: the messages of one key may be of several sources, and their policies
	// differ. Where events follow, a device then keeps those of its own sessions.
	Shared bool
	// Retention is how long a key is remembered after its last message, in
	// milliseconds; 0 is for ever.
	Retention int64
}

// seenGrain is how stale Session.Seen may be: writing it for every event would
// turn every event into a store write.
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

// of returns the policy of a device's own source, by which its sessions last.
func (p *Policy) of(s *Session) Policy {
	own := *p
	if p.Shared && s.Timeout != 0 {
		own.Timeout, own.Cutoff = s.Timeout, s.Cutoff
	}
	return own
}
