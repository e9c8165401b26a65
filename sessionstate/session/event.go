package session

// Kind is the kind of a message, as far as sessions depend on it.
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

// Control reports whether it is a control call, and not an event.
func (k Kind) Control() bool { return k >= Start }

// Timestamps are what a message says about when it happened, in Unix
// milliseconds.
type Timestamps struct {
	// Original is its originalTimestamp or, where that is missing, its timestamp.
	Original int64
	// Sent is its sentAt or, where that is missing, its batch's.
	Sent int64
	// HasOriginal and HasSent: they are there and could be parsed. A message of channel
	// server with a timestamp of its own has that as Original, and no Sent, because it
	// does not tell its clock.
	HasOriginal, HasSent bool
}

// ColdStart says whether an event shows the cold start of a mobile app.
type ColdStart uint8

const (
	// NoColdStart: it does not.
	NoColdStart ColdStart = iota
	// Opened: "Application Opened", and the app did not come from the background.
	Opened
	// Updated: "Application Installed" or "Application Updated" with a sessionStart.
	// Application Opened follows it.
	Updated
)

// Event is one message of a key, reduced to what its session depends on.
type Event struct {
	Kind  Kind
	Times Timestamps
	// Message identifies the message. It is never 0 for events: if the SDK sent no
	// messageId, it is a hash of the event. A control call with 0 is new each time it
	// arrives.
	Message MessageID
	// User is the message's userId; 0 if it has none.
	User UserID
	// ID is the session id that startSession asks for, 0 for a generated one. For an
	// event it is the valid session id that the event came with, 0 for none.
	ID int64
	// HasSessionID and HasSessionStart: the SDK itself put into the context a
	// sessionId that is not null, and a sessionStart that is true.
	HasSessionID, HasSessionStart bool
	// HasIDKey and HasStartKey: the context has these keys, with any value.
	HasIDKey, HasStartKey bool
	ColdStart             ColdStart
	// Mobile: the message comes from a native mobile SDK.
	Mobile bool
	// Server: the message comes from a server-side SDK.
	Server bool
	// LoggedOut: the message comes from a web SDK that has no user: channel web, and
	// a userId that is the empty string.
	LoggedOut bool
	// JoinOnly: the message may join automatic sessions but not create or
	// change them (server-side events under an anonymousId).
	JoinOnly bool
	// Role and Link are for events that follow their user's device: see [Role].
	Role Role
	Link string
}

// Clock returns the clock that the message tells, NoClock if it tells none.
func (e *Event) Clock() Clock {
	switch {
	case !e.Times.HasOriginal || !e.Times.HasSent:
		return NoClock
	case e.Server:
		return ServerClock
	}
	return DeviceClock
}

// restarts reports whether the event shows the cold start of an app.
func (e *Event) restarts() bool { return e.ColdStart != NoColdStart && !e.Server }

// opens reports whether the event shows that a web SDK has begun a session
// itself.
func (e *Event) opens() bool { return e.HasSessionStart && !e.Mobile && !e.Server }

// Role is the part that a message has in connecting a user's events with the
// user's device (follow_user).
type Role uint8

const (
	// NoRole: none.
	NoRole Role = iota
	// Device: a message with an anonymousId. Link is its user, or "".
	Device
	// Follower: an event with a userId only. It takes the session of the device where
	// the user was last active, unless the user has a session or an end of their own.
	// JoinOnly is set too.
	Follower
	// UserActivity: not a message of this key, but a note that the user was active on
	// device Link at Times.Original. No decision is made about it.
	UserActivity
)
