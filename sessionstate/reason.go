package sessionstate

// Because is why a decision was made, and what it meant: for people and
// counters, nothing depends on it.
type Because struct {
	Reason Reason
	// Began and Ended: the message began a session; it ended one, or was the first
	// to show that one was over. Origin says by what.
	Began, Ended bool
	Origin       Origin
	// MarkedAgain: the event carries the start mark, and had carried it before.
	MarkedAgain bool
}

// Reason says why a message was decided about as it was.
type Reason uint8

const (
	// NotDecided: the session could not be had.
	NotDecided Reason = iota

	// InManualSession: the event is in a session that startSession began, or one
	// that took its place.
	InManualSession
	// InAutomaticSession: the event is in a session of the proxy's own.
	InAutomaticSession
	// AfterEnd: endSession was called, and nothing has begun a session since.
	AfterEnd
	// AutomaticIsOff: there is no manual session, and there are to be no others.
	AutomaticIsOff
	// LeftToSDK: there is no manual session; others are the SDK's business.
	LeftToSDK
	// NoSession: the proxy makes sessions itself, and the event neither is in one
	// nor begins one.
	NoSession
	// TooOld: the event is older than what is remembered of its key.
	TooOld

	// InDeviceSession: an event of a user and no device, in the session of the
	// device where the user was last active.
	InDeviceSession
	// OwnSession: such an event brought a session id itself, and no manual session
	// says otherwise.
	OwnSession
	// OwnSessionUnmarked: and it brought a start mark, which it is not to carry.
	OwnSessionUnmarked
	// NoDeviceSession: such an event, where the user is in no session.
	NoDeviceSession

	// Applied: the control call was carried out.
	Applied
	// AppliedBefore: the control call had been carried out, and came again.
	AppliedBefore
	// NothingToDo: an endSession or resetSession where there is no session.
	NothingToDo
	// NotKept: the control call is older than what is remembered of its key.
	NotKept
	// Limited: more control calls began sessions of its key than may.
	Limited

	// Reasons is how many there are.
	Reasons
)

var reasonNames = [Reasons]string{
	NotDecided:         "store_error",
	InManualSession:    "manual_session",
	InAutomaticSession: "automatic_session",
	AfterEnd:           "session_ended",
	AutomaticIsOff:     "automatic_off",
	LeftToSDK:          "left_to_sdk",
	NoSession:          "no_session",
	TooOld:             "too_old",
	InDeviceSession:    "device_session",
	OwnSession:         "own_session",
	OwnSessionUnmarked: "own_session",
	NoDeviceSession:    "no_device_session",
	Applied:            "applied",
	AppliedBefore:      "repeated",
	NothingToDo:        "no_session",
	NotKept:            "too_old",
	Limited:            "limited",
}

// String is the reason as a word, such as manual_session.
func (r Reason) String() string {
	if r >= Reasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Action is what is done with an event that is decided about for this reason.
func (r Reason) Action() Action {
	switch r {
	case InManualSession, InAutomaticSession, InDeviceSession:
		return Stamp
	case AfterEnd, AutomaticIsOff, NoDeviceSession:
		return Clear
	case OwnSessionUnmarked:
		return Unmark
	}
	return Keep
}

// Changes reports whether an event that is decided about for this reason is
// stamped or cleared.
func (r Reason) Changes() bool { return r.Action() != Keep }

// because is a decision to change nothing about a message.
func because(r Reason) Decision { return Decision{Because: Because{Reason: r}} }
