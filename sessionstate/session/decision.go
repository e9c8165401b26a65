package session

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
	// At is when the message happened. Way is the way that its event time was
	// computed with, in milliseconds, if it tells its clock.
	At  Moment
	Way int64
	// Compared says how At was compared with the beginning of the segment that the
	// message was found in.
	Compared Comparison
	// Link, of a message of a device, is the user whom that belonged to at that
	// time; "" for nobody.
	Link string
	// Follow is what is left to be decided about a follower.
	Follow Following
}

// Comparison is how two moments were compared.
type Comparison uint8

const (
	// NotCompared: there was nothing to compare with.
	NotCompared Comparison = iota
	// ByClock: by the readings of their clock.
	ByClock
	// ByEventTime: by their event times.
	ByEventTime
)

func (c Comparison) String() string {
	switch c {
	case ByClock:
		return "clock"
	case ByEventTime:
		return "event_time"
	}
	return ""
}

// Following is the part of a decision about a follower that the session of its
// user's device decides: see [Decision.Complete].
type Following struct {
	// Device is the device where the user was last active; "" for none.
	Device string
	// Ended is the event time at which the user's own session was ended, in Unix
	// milliseconds, if it was.
	Ended int64
}

// Because is why a decision was made, and what it meant: for people and
// counters, nothing depends on it.
type Because struct {
	Reason Reason
	// Began and Ended: the message began a session; it ended one, or was the first
	// to show that one was over. Origin says by what.
	Began, Ended bool
	Origin       Origin
	// Adopted: the session that began is the SDK's own.
	Adopted bool
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
	// InAdoptedSession: the event is in a session that its SDK began.
	InAdoptedSession
	// AfterEnd: endSession was called, and nothing has begun a session since.
	AfterEnd
	// AutomaticIsOff: there is no manual session, and there are to be no others.
	AutomaticIsOff
	// LeftToSDK: there is no manual session; others are the SDK's business.
	LeftToSDK
	// NoSession: the proxy makes or adopts sessions, and the event neither is in one
	// nor begins one.
	NoSession
	// NoSessionCleared: and it brought a field all the same.
	NoSessionCleared
	// InvalidOwnID: the event came with a session id of its own that is not valid.
	InvalidOwnID
	// TooOld: the event is older than what is remembered of its key.
	TooOld
	// TooOldCleared: and without a manual session there are to be no fields.
	TooOldCleared

	// InDeviceSession: an event of a user and no device, in the session of the
	// device where the user was last active.
	InDeviceSession
	// OwnSession: an event of a server, or of a user and no device, that brought a
	// session id itself, and no manual session says otherwise.
	OwnSession
	// OwnSessionUnmarked: and it brought a start mark, which it is not to carry.
	OwnSessionUnmarked
	// NoDeviceSession: an event of a user and no device, where the user is in no
	// session.
	NoDeviceSession

	// Applied: the control call was carried out.
	Applied
	// AppliedBefore: the control call had been carried out, and came again.
	AppliedBefore
	// NothingToDo: an endSession or resetSession where there is no session.
	NothingToDo
	// NotKept: the control call is older than what is remembered of its key.
	NotKept
	// Limited: more sessions of its key began than may in a minute.
	Limited

	// Reasons is how many there are.
	Reasons
)

var reasonNames = [Reasons]string{
	NotDecided:         "store_error",
	InManualSession:    "manual_session",
	InAutomaticSession: "automatic_session",
	InAdoptedSession:   "adopted_session",
	AfterEnd:           "session_ended",
	AutomaticIsOff:     "automatic_off",
	LeftToSDK:          "left_to_sdk",
	NoSession:          "no_session",
	NoSessionCleared:   "no_session",
	InvalidOwnID:       "invalid_own_id",
	TooOld:             "too_old",
	TooOldCleared:      "too_old",
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
	case InManualSession, InAutomaticSession, InAdoptedSession, InDeviceSession:
		return Stamp
	case AfterEnd, AutomaticIsOff, NoDeviceSession, NoSessionCleared, InvalidOwnID, TooOldCleared:
		return Clear
	case OwnSessionUnmarked:
		return Unmark
	}
	return Keep
}

// Changes reports whether an event that is decided about for this reason is
// stamped or cleared.
func (r Reason) Changes() bool { return r.Action() != Keep }

// because is the decision that a reason makes by itself.
func because(r Reason) Decision {
	d := Decision{Because: Because{Reason: r}}
	if a := r.Action(); a != Stamp {
		d.Action = a
	}
	return d
}
