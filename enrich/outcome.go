package enrich

import "github.com/rudder-session/rudder-session/sessionstate/session"

// SkipReason is why no session decided about a message, or why its decision was not
// applied.
type SkipReason uint8

const (
	// NotSkipped: the session decides.
	NotSkipped SkipReason = iota
	// OtherType: not a track, page, identify, screen, group or alias.
	OtherType
	// OfJob: it comes from a reverse ETL or cloud extract job.
	OfJob
	// NoID: neither an anonymousId nor a userId.
	NoID
	// OddContext: its context is not an object, so it cannot have the fields.
	OddContext
	// NoRoom: with the fields, the body would be larger than the data plane accepts.
	NoRoom

	// SkipReasons is the number of values.
	SkipReasons
)

var skipNames = [SkipReasons]string{
	OtherType:  "other_type",
	OfJob:      "job",
	NoID:       "no_id",
	OddContext: "odd_context",
	NoRoom:     "too_large",
}

// String is the reason as a word, such as no_id; "" for NotSkipped.
func (s SkipReason) String() string {
	if s >= SkipReasons {
		return "unknown"
	}
	return skipNames[s]
}

// Outcome counts what was done to the messages of a request. With Shadow, it counts
// what would have been done.
type Outcome struct {
	// Stamped events got a session id, Cleared ones lost session fields, Untouched
	// messages were forwarded unchanged.
	Stamped, Cleared, Untouched int
	// Events counts events by the reason of the decision, Skipped those without a
	// decision.
	Events  [session.Reasons]int
	Skipped [SkipReasons]int
	// Starts, Ends and Resets count control calls, which are not forwarded; Controls
	// counts them by kind and result.
	Starts, Ends, Resets int
	Controls             [ByReset + 1][session.Reasons]uint32
	// InvalidIDs counts invalid session ids: of startSession calls and, with automatic
	// adopt, of events.
	InvalidIDs int
	// Limited counts control calls that had no effect, and events whose session was
	// not adopted, because the key had begun MaxStarts sessions in a minute.
	Limited int
	// Began and Ended count sessions, by what began and ended them.
	Began, Ended [Causes]int
	// Marked counts events that carry a start mark, MarkedAgain those of them that are
	// retries.
	Marked, MarkedAgain int
	// MarksRemoved counts events whose own start mark was removed.
	MarksRemoved int
	// StoreErrors counts keys whose session could not be read or written; Err is the
	// first error.
	StoreErrors int
	Err         error
	// ControlFailed: a control call could not be carried out. The request must not be
	// answered as if it had been.
	ControlFailed bool
}

// Cause is what begins or ends a session.
type Cause uint8

const (
	ByStart    Cause = iota // startSession
	ByEnd                   // endSession
	ByReset                 // resetSession
	ByIdentify              // an identify with another userId
	ByLogout                // an event of a web SDK whose user has logged out
	ByRestart               // the cold start of a mobile app
	ByEvent                 // an event after the timeout or the cutoff, or the first event of a key
	BySDK                   // the SDK itself: its session was adopted

	// Causes is the number of values.
	Causes
)

var causeNames = [Causes]string{"startSession", "endSession", "resetSession", "identify", "logout", "restart", "event", "sdk"}

// String is the name of the control call, or identify, logout, restart, event or sdk.
func (c Cause) String() string { return causeNames[c] }

// causeOf returns the cause that a message is for a session that it begins or ends.
func causeOf(k session.Kind, o session.Origin) Cause {
	switch k {
	case session.Start:
		return ByStart
	case session.End:
		return ByEnd
	case session.Reset:
		return ByReset
	}
	switch o {
	case session.ByIdentify:
		return ByIdentify
	case session.ByLogout:
		return ByLogout
	case session.ByRestart, session.ByUpdate:
		return ByRestart
	case session.ByOpening:
		return BySDK
	}
	return ByEvent
}

// Add adds what was done to the messages of another request.
func (o *Outcome) Add(more *Outcome) {
	o.Stamped += more.Stamped
	o.Cleared += more.Cleared
	o.Untouched += more.Untouched
	addEach(o.Events[:], more.Events[:])
	addEach(o.Skipped[:], more.Skipped[:])
	o.Starts += more.Starts
	o.Ends += more.Ends
	o.Resets += more.Resets
	for i := range more.Controls {
		addEach(o.Controls[i][:], more.Controls[i][:])
	}
	o.InvalidIDs += more.InvalidIDs
	o.Limited += more.Limited
	addEach(o.Began[:], more.Began[:])
	addEach(o.Ended[:], more.Ended[:])
	o.Marked += more.Marked
	o.MarkedAgain += more.MarkedAgain
	o.MarksRemoved += more.MarksRemoved
	o.StoreErrors += more.StoreErrors
	if o.Err == nil {
		o.Err = more.Err
	}
	o.ControlFailed = o.ControlFailed || more.ControlFailed
}

func addEach[N int | uint32](to, more []N) {
	for i, n := range more {
		to[i] += n
	}
}

// Consumed returns how many messages were control calls.
func (o *Outcome) Consumed() int { return o.Starts + o.Ends + o.Resets }

func (o *Outcome) fail(err error, events []session.Event) {
	o.StoreErrors++
	if o.Err == nil {
		o.Err = err
	}
	for i := range events {
		o.ControlFailed = o.ControlFailed || events[i].Kind.Control()
	}
}

func (o *Outcome) skip(s SkipReason) {
	o.Untouched++
	o.Skipped[s]++
}

func (o *Outcome) count(s *subject) {
	d := &s.decision
	why := &d.Because
	if why.Reason == session.Limited {
		o.Limited++
	}
	switch {
	case why.Began && why.Adopted:
		o.Began[BySDK]++
	case why.Began:
		o.Began[causeOf(s.event.Kind, why.Origin)]++
	}
	if why.Ended {
		o.Ended[causeOf(s.event.Kind, why.Origin)]++
	}
	switch s.event.Kind {
	case session.Start:
		o.Starts++
		if s.invalidID != nil {
			o.InvalidIDs++
		}
	case session.End:
		o.Ends++
	case session.Reset:
		o.Resets++
	default:
		o.event(d)
		if s.event.HasSessionStart && !d.Start && d.Action != session.Keep {
			o.MarksRemoved++
		}
		return
	}
	o.Controls[causeOf(s.event.Kind, why.Origin)][why.Reason]++
}

func (o *Outcome) event(d *session.Decision) {
	o.Events[d.Because.Reason]++
	if d.Because.Reason == session.InvalidOwnID {
		o.InvalidIDs++
	}
	switch d.Action {
	case session.Stamp:
		o.Stamped++
	case session.Clear, session.Unmark:
		o.Cleared++
	default:
		o.Untouched++
	}
	if d.Start {
		o.Marked++
	}
	if d.Because.MarkedAgain {
		o.MarkedAgain++
	}
}

// unchange counts all events as untouched: the body would be too large with the
// decisions applied.
func (o *Outcome) unchange() {
	for r := range o.Events {
		if reason := session.Reason(r); reason.Changes() {
			o.Skipped[NoRoom] += o.Events[r]
			o.Events[r] = 0
		}
	}
	o.Untouched += o.Stamped + o.Cleared
	o.Stamped, o.Cleared, o.Marked, o.MarkedAgain, o.MarksRemoved = 0, 0, 0, 0, 0
}
