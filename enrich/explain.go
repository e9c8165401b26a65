package enrich

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Explanation says what would be done to one message, and why.
type Explanation struct {
	Verdict
	// Rules are sentences, in the order in which the rules were applied.
	Rules []string
}

// Explain decides about the messages of a request as [Enrich] and [Control] do, says
// why, and changes nothing. It returns ErrBody for a body that is unreadable.
func Explain(ctx context.Context, table *sessionstate.Table, r *Request, body []byte) ([]Explanation, error) {
	dry := *r
	dry.DryRun = true
	var explained []Explanation
	dry.Observe = func(verdicts []Verdict) {
		explained = make([]Explanation, len(verdicts))
		for i := range verdicts {
			explained[i].Verdict = verdicts[i]
		}
	}
	result := Enrich(ctx, table, &dry, body)
	switch {
	case result.Unreadable:
		return nil, ErrBody
	case result.Err != nil:
		return nil, &StoreError{result.Err}
	}
	known := map[string]*session.Session{}
	for i := range explained {
		e := &explained[i]
		if dry.Endpoint.Control() && (e.Skip != NotSkipped || e.InvalidID != nil) {
			e.Refused, e.Decision = true, session.Decision{}
		}
		if e.Key != "" && known[e.Key] == nil {
			s, err := table.Session(ctx, e.Key)
			if err != nil {
				return nil, &StoreError{err}
			}
			known[e.Key] = s
		}
		e.Rules = rules(&dry, &e.Verdict, known[e.Key])
	}
	return explained, nil
}

// rules returns sentences about the rules that were applied to a message.
func rules(r *Request, v *Verdict, s *session.Session) (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	switch v.Skip {
	case OtherType:
		say("Its type is %q: only track, page, identify, screen, group and alias, and control calls, have a session.", v.Type)
	case OfJob:
		say("It comes from a reverse ETL or cloud extract job: those are not read.")
	case NoID:
		say("It has neither an anonymousId nor a userId: it is in nobody's session.")
	case OddContext:
		say("Its context is not an object: it cannot have the session's fields.")
	case NoRoom:
		say("With the session's fields the body would be larger than max_body.")
	}
	switch {
	case v.Refused && v.Skip != NotSkipped:
		return append(said, "It is answered with 400 and changes nothing.")
	case v.Skip != NotSkipped:
		return append(said, "It is forwarded as it is.")
	case v.Kind.Control():
		say("It is a control call, %s: it is carried out here and not forwarded.", v.Type)
	}
	if v.Refused {
		return append(said, fmt.Sprintf("It is answered with 400 and changes nothing: %v.", v.InvalidID))
	}
	say("%s", keyRule(v))
	say("%s", timeRule(r, v))
	say("%s", stateRule(s, &v.Decision.At))
	return append(said, decisionRules(r, v)...)
}

func keyRule(v *Verdict) string {
	id, err := ParseKey(v.Key)
	switch {
	case err != nil:
		return "It belongs to no known key."
	case !id.User && v.Server && !v.Kind.Control():
		return fmt.Sprintf("Its session is that of the anonymousId %q. It comes from a server: it can be in a session that the proxy made, but neither begins nor extends one.", v.AnonymousID)
	case !id.User:
		return fmt.Sprintf("Its session is that of the anonymousId %q.", v.AnonymousID)
	case v.AnonymousID != "":
		return fmt.Sprintf("Its session is that of the userId %q: its channel is server, where the userId comes first.", v.UserID)
	}
	return fmt.Sprintf("It has no anonymousId: its session is that of the userId %q.", v.UserID)
}

func timeRule(r *Request, v *Verdict) string {
	at, t := &v.Decision.At, &v.Times
	switch {
	case at.Clock != session.NoClock:
		return fmt.Sprintf("It happened at %s: by its clock at %s, plus %d ms for the way of its request, and never later than it arrived, %s. Its own request took %d ms from sentAt, %s, including the error of the clock.",
			clock(at.Time), clock(at.Original), v.Decision.Way, clock(r.Received), at.Lag, v.SentAt)
	case t.HasOriginal:
		return fmt.Sprintf("It happened at %s, as it says itself, and never later than it arrived, %s. It does not tell its clock (originalTimestamp and sentAt, and for a server no timestamp).",
			clock(at.Time), clock(r.Received))
	}
	return fmt.Sprintf("It does not tell when it happened (sentAt and originalTimestamp): that was when it arrived, at %s.", clock(at.Time))
}

// stateRule says what was known about a key's session before the request.
func stateRule(s *session.Session, at *session.Moment) string {
	if s == nil || len(s.Segments) == 0 {
		return "Before this request nothing is known of its session."
	}
	for i := len(s.Segments) - 1; i >= 0; i-- {
		seg := &s.Segments[i]
		if session.Before(at, &seg.From) {
			continue
		}
		since := momentText(at, &seg.From)
		switch seg.Mode {
		case session.Manual:
			return fmt.Sprintf("Before this request, it would be in the session %d, manual, which began at %s.", seg.ID, since)
		case session.Automatic:
			return fmt.Sprintf("Before this request, the last session at that time is %d, made by the proxy, which began at %s and had its last event at %s.", seg.ID, since, clock(seg.Last.Time))
		case session.Adopted:
			return fmt.Sprintf("Before this request, the last session at that time is %d, the SDK's own, which began at %s and had its newest event at %s.", seg.ID, since, clock(seg.Last.Time))
		case session.Ended:
			return fmt.Sprintf("Before this request, the session of that time has been ended, at %s.", since)
		}
		return fmt.Sprintf("Before this request, the proxy has no session at that time, since %s.", since)
	}
	return fmt.Sprintf("Before this request, what is known of its session begins later, at %s.", momentText(at, &s.Segments[0].From))
}

// momentText is the time of a boundary, and how another moment was compared with it.
func momentText(m, boundary *session.Moment) string {
	if session.SameClock(m, boundary) {
		return fmt.Sprintf("%s (%s by the same clock, which decides)", clock(boundary.Time), clock(boundary.Original))
	}
	return clock(boundary.Time)
}

var reasonSentences = map[session.Reason]string{
	session.InManualSession:    "A manual session overrides what the SDK sent.",
	session.InAutomaticSession: "The proxy makes the automatic sessions (automatic proxy).",
	session.InAdoptedSession:   "It belongs to the session that its SDK began, and whose id it brought (automatic adopt).",
	session.NoSessionCleared:   "Its SDK has no session: it has none either (automatic adopt).",
	session.InvalidOwnID:       "The session id that it brought is not valid: it has no session (automatic adopt).",
	session.TooOldCleared:      "It is older than everything that is remembered of its session, and without a manual session, events carry no session fields (automatic off).",
	session.AfterEnd:           "After endSession events carry no session fields.",
	session.AutomaticIsOff:     "Without a manual session, events carry no session fields (automatic off).",
	session.LeftToSDK:          "Without a manual session, the SDK's own session fields stay as they are (automatic sdk).",
	session.NoSession:          "It is in no session, and begins none.",
	session.TooOld:             "It is older than all that is remembered of its session.",
	session.InDeviceSession:    "It takes the session that its user is in (follow_user).",
	session.OwnSession:         "It brought a session id of its own, and no manual session says otherwise (follow_user).",
	session.OwnSessionUnmarked: "It brought a session id of its own, and no manual session says otherwise (follow_user); but the session's first event is another one.",
	session.NoDeviceSession:    "Its user is in no session then (follow_user).",
	session.Applied:            "It is carried out.",
	session.AppliedBefore:      "It had been carried out before (the same messageId): nothing changes, and the answer is the same.",
	session.NothingToDo:        "There is no session that it could end or replace.",
	session.Limited:            "Too many sessions were started under this id in a minute (max_session_starts): it has no effect.",
	session.NotKept:            "It is older than all that is remembered of its session: it changes nothing.",
}

func decisionRules(r *Request, v *Verdict) (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	d := &v.Decision
	if v.InvalidID != nil {
		say("The id that it asks for is refused: %v. In a batch or a track, the session gets a generated id.", v.InvalidID)
	}
	if v.InvalidOwnID != nil && d.Because.Reason == session.InvalidOwnID {
		say("The session id that it brought is refused: %v.", v.InvalidOwnID)
	}
	if rule := linkRule(v); r.Follow && rule != "" {
		say("%s", rule)
	}
	say("%s", reasonSentences[d.Because.Reason])
	if d.Because.Ended && v.Kind != session.End {
		say("With it the session before it is over.")
	}
	if d.Because.Began {
		say("It begins a session, %d.", d.SessionID)
	}
	switch {
	case v.Kind.Control():
		if d.SessionID != 0 {
			say("It is answered with sessionId %d.", d.SessionID)
		} else {
			say("It is answered with sessionId null.")
		}
		return said
	case d.Action == session.Stamp:
		say("context.sessionId becomes %d (it came with %s).", d.SessionID, orNone(v.Own))
		switch {
		case d.Start && d.Because.MarkedAgain:
			say("context.sessionStart becomes true: it is a retry of the session's first event.")
		case d.Start:
			say("context.sessionStart becomes true: it is the session's first event.")
		default:
			say("It carries no context.sessionStart (it came with %s): another event was the session's first.", orNone(v.OwnStart))
		}
	case d.Action == session.Unmark:
		say("context.sessionId stays (%s), context.sessionStart (%s) is removed.", orNone(v.Own), orNone(v.OwnStart))
	case d.Action == session.Clear && v.Own == "" && v.OwnStart == "":
		say("It has no session fields, and gets none.")
	case d.Action == session.Clear:
		say("context.sessionId (%s) and context.sessionStart (%s) are removed.", orNone(v.Own), orNone(v.OwnStart))
	default:
		say("It is forwarded as it is: sessionId %s, sessionStart %s.", orNone(v.Own), orNone(v.OwnStart))
	}
	if r.Shadow {
		say("But the handler is in shadow mode: it is forwarded as it is.")
	}
	return said
}

// linkRule says whose device a message came from or, for an event of a user, which of
// the user's devices it follows.
func linkRule(v *Verdict) string {
	link := v.Decision.Link
	if v.Decision.Follow.Device != "" {
		link = v.Decision.Follow.Device
	}
	to, err := ParseLink(link)
	switch {
	case err == nil && to.User:
		return fmt.Sprintf("Its device belongs to the userId %s.", to.text())
	case err == nil:
		return fmt.Sprintf("Its user was last active on the device with the anonymousId %s.", to.text())
	}
	switch v.Decision.Because.Reason {
	case session.NoDeviceSession, session.OwnSession, session.OwnSessionUnmarked:
		return "No device is known to be its user's then."
	}
	return ""
}

// text is the id as people read it.
func (id ID) text() string {
	if id.HashedID {
		return fmt.Sprintf("with the SHA-256 %x", id.ID)
	}
	return strconv.Quote(id.ID)
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

func clock(at int64) string {
	return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z")
}
