package session

// Action says what to do with an event's session fields.
type Action uint8

const (
	// Keep forwards the event unchanged.
	Keep Action = iota
	// Stamp sets context.sessionId, and sets or removes context.sessionStart.
	Stamp
	// Clear removes both fields.
	Clear
	// Unmark removes context.sessionStart.
	Unmark
)

// String returns what was done: untouched, stamped or cleared.
func (a Action) String() string {
	switch a {
	case Stamp:
		return "stamped"
	case Clear, Unmark:
		return "cleared"
	}
	return "untouched"
}

// Decision is the answer to one Event.
type Decision struct {
	// Action says what to do with an event. It is Keep for control calls.
	Action Action
	// SessionID is the id to stamp or, for a control call, the id to answer: 0 is null.
	SessionID int64
	// Start: the event carries the start mark.
	Start bool
	// Repeated: the control call was applied before.
	Repeated bool
	// Because explains the decision.
	Because Because
	// At is when the message happened. Way, in milliseconds, was used to compute its
	// event time, if the message tells its clock.
	At  Moment
	Way int64
	// Compared says how At was compared with the start of the message's segment.
	Compared Comparison
	// Link, for a message of a device, is the user of the device at that time; "" for
	// none.
	Link string
	// Follow is what remains to be decided about a follower.
	Follow Following
}

// Comparison is how two moments were compared.
type Comparison uint8

const (
	// NotCompared: there was nothing to compare with.
	NotCompared Comparison = iota
	// ByClock: by the readings of one clock.
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

// Following is the part of a decision about a follower that depends on the session
// of the user's device: see [Decision.Complete].
type Following struct {
	// Device is the device where the user was last active; "" for none.
	Device string
	// Ended is the event time at which the user's own session was ended, in Unix
	// milliseconds; 0 if it was not.
	Ended int64
}

// Because says why a decision was made, and what the message did. It is for people
// and counters: nothing depends on it.
type Because struct {
	Reason Reason
	// Began: the message began a session, and Origin says how. Ended: it ended one, or
	// is the first to show that one is over.
	Began, Ended bool
	Origin       Origin
	// Adopted: the session that it began is the SDK's own.
	Adopted bool
	// MarkedAgain: the event carries the start mark, as it did when it came before.
	MarkedAgain bool
}

// Reason says why a message got its decision.
type Reason uint8

const (
	// NotDecided: the session could not be read.
	NotDecided Reason = iota

	// InManualSession: the event is in a manual session.
	InManualSession
	// InAutomaticSession: the event is in a session that the proxy began itself.
	InAutomaticSession
	// InAdoptedSession: the event is in a session that its SDK began.
	InAdoptedSession
	// AfterEnd: endSession was called, and nothing has begun a session since.
	AfterEnd
	// AutomaticIsOff: there is no manual session, and the policy allows no other.
	AutomaticIsOff
	// LeftToSDK: there is no manual session, and the policy leaves others to the SDK.
	LeftToSDK
	// NoSession: the policy makes or adopts sessions, but the event is in none and
	// begins none.
	NoSession
	// NoSessionCleared: as NoSession, but the event had a session field.
	NoSessionCleared
	// InvalidOwnID: the event came with a session id of its own that is not valid.
	InvalidOwnID
	// TooOld: the event is older than everything that is kept of its key.
	TooOld
	// TooOldCleared: as TooOld, with AutomaticOff.
	TooOldCleared

	// InDeviceSession: an event with a userId only, in the session of the device where
	// the user was last active.
	InDeviceSession
	// OwnSession: an event of a server, or with a userId only, that came with a session
	// id, and there is no manual session.
	OwnSession
	// OwnSessionUnmarked: as OwnSession, but the event had a start mark, which is
	// removed.
	OwnSessionUnmarked
	// NoDeviceSession: an event with a userId only, and neither the user nor the user's
	// device is in a session.
	NoDeviceSession

	// Applied: the control call was carried out.
	Applied
	// AppliedBefore: the control call was carried out before, and came again.
	AppliedBefore
	// NothingToDo: an endSession or resetSession when there is no session.
	NothingToDo
	// NotKept: the control call is older than everything that is kept of its key.
	NotKept
	// Limited: more sessions of the key would have begun than are allowed in a minute.
	Limited

	// Reasons is the number of reasons.
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

// String returns the reason as a word, such as manual_session.
func (r Reason) String() string {
	if r >= Reasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Action returns what is done with an event for this reason.
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

// Changes reports whether an event is stamped or cleared for this reason.
func (r Reason) Changes() bool { return r.Action() != Keep }

// because returns the decision that follows from a reason alone.
func because(r Reason) Decision {
	d := Decision{Because: Because{Reason: r}}
	if a := r.Action(); a != Stamp {
		d.Action = a
	}
	return d
}
