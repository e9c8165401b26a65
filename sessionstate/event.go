package sessionstate

// Kind is what a message is to a session.
type Kind uint8

const (
	// Other is any event that is not identify: track, page, screen, group, alias.
	Other Kind = iota
	// Identify is an identify event.
	Identify
	// Start, End and Reset are the control calls.
	Start
	End
	Reset
)

// Control reports whether the message is a control call and no event.
func (k Kind) Control() bool { return k >= Start }

// Starts reports whether the message is a control call that may begin a session.
func (k Kind) Starts() bool { return k == Start || k == Reset }

// Event is one message of a key, reduced to what its session depends on.
type Event struct {
	Kind Kind
	// Time is when the message happened, in Unix milliseconds, never later
	// than when it arrived.
	Time int64
	// Untold: the message does not tell when it happened; Time is when it
	// arrived.
	Untold bool
	// Message identifies the message. Events must have one (where the SDK sent
	// none, a hash of the event itself does); a control call may have 0, and is
	// then new each time.
	Message MessageID
	// User is the message's userId; 0 if it has none.
	User UserID
	// ID is the session id that startSession asks for; 0 asks for a generated one.
	// Of an event with a Role it is that which it came with; 0 for none.
	ID int64
	// HasSessionID and HasSessionStart tell what the SDK itself put into the
	// context: a sessionId, and a sessionStart that is true.
	HasSessionID, HasSessionStart bool
	// ColdStart: a track named "Application Opened" that did not come from the
	// background.
	ColdStart bool
	// Mobile: the message comes from a native mobile SDK.
	Mobile bool
	// Server: the message comes from a server-side SDK.
	Server bool
	// Visitor: the message may join automatic sessions but not create or
	// change them (server-side events under an anonymousId).
	Visitor bool
	// Limited: a control call that is to have no effect, but to be answered as
	// before if it is a repeat.
	Limited bool
	// Role is what the message is where events follow their user's device, and
	// Link whom it names: see there.
	Role Role
	Link string
}

// Role is what a message is where a user's events follow the user's device.
type Role uint8

const (
	// NoRole: nothing.
	NoRole Role = iota
	// Device: a message of a device. Link is the user that it names, or "".
	Device
	// Follower: an event of a user and no device. It is a Visitor as well. It
	// takes the session of the device where the user was last active, unless the
	// user's own says otherwise.
	Follower
	// Sighting: no message of the key, a user's, but one of the device Link, which
	// was the user's at that time. It needs Time alone, and has no decision.
	Sighting
)

// Action is what is to be done with an event's session fields.
type Action uint8

const (
	// Keep forwards the event as it came.
	Keep Action = iota
	// Stamp sets context.sessionId, and sets or removes context.sessionStart.
	Stamp
	// Clear removes both fields.
	Clear
	// Unmark removes context.sessionStart.
	Unmark
)

// String is what was done: untouched, stamped or cleared.
func (a Action) String() string {
	switch a {
	case Stamp:
		return "stamped"
	case Clear, Unmark:
		return "cleared"
	}
	return "untouched"
}

// Decision answers one Event.
type Decision struct {
	// Action says what to do with an event. It is Keep for control calls.
	Action Action
	// SessionID is the id to stamp or, for a control call, to answer: 0 is null.
	SessionID int64
	// Start: the event carries the start mark.
	Start bool
	// Repeated: a control call that had been applied before.
	Repeated bool
	// Because explains it.
	Because Because
	// Link, of a message of a device, is the user whom that belonged to at Time;
	// "" for nobody. Of a follower it is the device that it is to take its session
	// from, and the decision is to be completed by [Decision.Follow]; "" for none.
	Link string
	// Time is when the message is taken to have happened, where Link is asked for.
	Time int64
	// ended is when the user's own session was ended, if it was.
	ended int64
}
