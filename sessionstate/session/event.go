package session

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

// Timestamps are what a message says about when it happened, in Unix
// milliseconds.
type Timestamps struct {
	// Original is its originalTimestamp or, where that is missing, its timestamp.
	Original int64
	// Sent is its sentAt or, where that is missing, its batch's.
	Sent int64
	// HasOriginal and HasSent tell whether they are there and could be read. A
	// message of channel server with a timestamp of its own has that for Original,
	// and no Sent: it does not tell its clock.
	HasOriginal, HasSent bool
}

// ColdStart says whether an event is the cold start of a mobile app.
type ColdStart uint8

const (
	// NoColdStart: it is none.
	NoColdStart ColdStart = iota
	// Opened: "Application Opened" that did not come from the background.
	Opened
	// Updated: "Application Installed" or "Application Updated" with a sessionStart
	// of its own. Application Opened comes after it.
	Updated
)

// Event is one message of a key, reduced to what its session depends on.
type Event struct {
	Kind  Kind
	Times Timestamps
	// Message identifies the message. Events must have one (where the SDK sent
	// none, a hash of the event itself does); a control call may have 0, and is
	// then new each time.
	Message MessageID
	// User is the message's userId; 0 if it has none.
	User UserID
	// ID is the session id that startSession asks for; 0 asks for a generated one.
	// Of an event it is the valid session id that it came with; 0 for none.
	ID int64
	// HasSessionID and HasSessionStart tell what the SDK itself put into the
	// context: a sessionId that is not null, and a sessionStart that is true.
	HasSessionID, HasSessionStart bool
	// HasIDKey and HasStartKey: the keys are there, whatever their values.
	HasIDKey, HasStartKey bool
	ColdStart             ColdStart
	// Mobile: the message comes from a native mobile SDK.
	Mobile bool
	// Server: the message comes from a server-side SDK.
	Server bool
	// LoggedOut: it comes from a web SDK that has no user: channel web, and a
	// userId that is the empty string.
	LoggedOut bool
	// JoinOnly: the message may join automatic sessions but not create or
	// change them (server-side events under an anonymousId).
	JoinOnly bool
	// Role is what the message is where events follow their user's device, and
	// Link whom it names: see there.
	Role Role
	Link string
}

// Clock is the clock that the message was timed by, if it tells.
func (e *Event) Clock() Clock {
	switch {
	case !e.Times.HasOriginal || !e.Times.HasSent:
		return NoClock
	case e.Server:
		return ServerClock
	}
	return DeviceClock
}

// restarts reports whether the event is the cold start of an app.
func (e *Event) restarts() bool { return e.ColdStart != NoColdStart && !e.Server }

// opens reports whether the event shows that a web SDK has begun a session
// itself.
func (e *Event) opens() bool { return e.HasSessionStart && !e.Mobile && !e.Server }

// Role is what a message is where a user's events follow the user's device.
type Role uint8

const (
	// NoRole: nothing.
	NoRole Role = iota
	// Device: a message of a device. Link is the user that it names, or "".
	Device
	// Follower: an event of a user and no device. It is JoinOnly as well. It
	// takes the session of the device where the user was last active, unless the
	// user's own says otherwise.
	Follower
	// UserActivity: not a message of this key, but a note that the user was active
	// on device Link at Times.Original. It has no decision.
	UserActivity
)
