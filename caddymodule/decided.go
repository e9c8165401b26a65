package caddymodule

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Decided is the decision about one message, as the admin API, the command line and
// the inspector show it.
type Decided struct {
	// Received is when the request arrived, At when the message happened.
	Received time.Time `json:"received"`
	At       time.Time `json:"at,omitzero"`
	// Timing is how At was determined.
	Timing   *Timing `json:"timing,omitempty"`
	Endpoint string  `json:"endpoint"`
	WriteKey string  `json:"write_key"`
	Source   string  `json:"source,omitempty"`

	// Type is the message's type, or its control call; Event the name of a track.
	Type        string `json:"type,omitempty"`
	Event       string `json:"event,omitempty"`
	AnonymousID string `json:"anonymous_id,omitempty"`
	UserID      string `json:"user_id,omitempty"`
	MessageID   string `json:"message_id,omitempty"`

	// Action is stamped, cleared, untouched or consumed; Reason is why, or the result
	// of a control call.
	Action string `json:"action"`
	Reason string `json:"reason"`
	// SessionID is the id that was set in the event or returned by the control call.
	SessionID int64 `json:"session_id,omitempty"`
	// Start: the event carries the start mark. Again: it is a repeat, of that event
	// or of a control call.
	Start bool `json:"session_start,omitempty"`
	Again bool `json:"again,omitempty"`
	// Began and Ended: the message began or ended a session.
	Began bool `json:"began,omitempty"`
	Ended bool `json:"ended,omitempty"`
	// HadID and HadStart are the session fields that the event arrived with.
	HadID    json.RawMessage `json:"had_session_id,omitempty"`
	HadStart json.RawMessage `json:"had_session_start,omitempty"`
	// Shadow: the message was not changed, because the handler is in shadow mode.
	Shadow bool `json:"shadow,omitempty"`

	received int64
}

// Timing is how the time of a message was determined: docs/sessions.md, "When an
// event happened".
type Timing struct {
	// Original and SentAt are by the clock of the message's sender; both are missing
	// if the message has no timestamps of it.
	Original time.Time `json:"original,omitzero"`
	SentAt   time.Time `json:"sent_at,omitzero"`
	// Clock is device or server. Lag is how much later than SentAt the message arrived,
	// Way the smallest lag known of that clock, both in milliseconds.
	Clock string `json:"clock,omitempty"`
	Lag   int64  `json:"lag,omitempty"`
	Way   int64  `json:"way,omitempty"`
	// Compared is how the message was compared with the start of its session or of the
	// time without one: clock or event_time.
	Compared string `json:"compared,omitempty"`
}

func timing(v *enrich.Verdict) *Timing {
	at := &v.Decision.At
	t := &Timing{Compared: v.Decision.Compared.String()}
	if at.Clock != session.NoClock {
		t.Original, t.SentAt = time.UnixMilli(at.Original).UTC(), time.UnixMilli(v.Times.Sent).UTC()
		t.Clock, t.Lag, t.Way = clockName(at.Clock), at.Lag, v.Decision.Way
	}
	if *t == (Timing{}) {
		return nil
	}
	return t
}

func clockName(c session.Clock) string {
	if c == session.ServerClock {
		return "server"
	}
	return "device"
}

// newDecided describes a verdict for people.
func newDecided(r *enrich.Request, source string, v *enrich.Verdict) Decided {
	d := Decided{
		Received: time.UnixMilli(r.Received).UTC(), Endpoint: r.Endpoint.String(),
		WriteKey: truncate(r.WriteKey), Source: source,
		Type: truncate(v.Type), Event: truncate(v.Event),
		AnonymousID: truncate(v.AnonymousID), UserID: truncate(v.UserID), MessageID: truncate(v.MessageID),
		Action: v.Action(), Reason: v.Reason(),
		HadID: rawJSON(v.Own), HadStart: rawJSON(v.OwnStart),
		Shadow:   r.Shadow,
		received: r.Received,
	}
	if v.Skip != enrich.NotSkipped {
		return d
	}
	d.At = time.UnixMilli(v.Decision.At.Time).UTC()
	d.Timing = timing(v)
	d.SessionID, d.Start = v.Decision.SessionID, v.Decision.Start
	why := v.Decision.Because
	d.Again = why.MarkedAgain || v.Decision.Repeated
	d.Began, d.Ended = why.Began, why.Ended
	return d
}

// maxShown is how many bytes of a text are kept, so that a client that sends long
// texts cannot fill the memory with decisions.
const maxShown = 256

// ellipsis ends a truncated text.
const ellipsis = "…"

func truncate(text string) string {
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + ellipsis
	}
	return text
}

// Concerns reports whether the decision is about a message with this write key,
// anonymousId and userId; "" matches any.
func (d *Decided) Concerns(writeKey, anonymousID, userID string) bool {
	matches := func(filter, value string) bool { return filter == "" || truncate(filter) == value }
	return matches(writeKey, d.WriteKey) && matches(anonymousID, d.AnonymousID) && matches(userID, d.UserID)
}

// rawJSON keeps a value as it is in the message. One that is long or invalid becomes
// a string.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	if len(text) > maxShown || !json.Valid([]byte(text)) {
		quoted, _ := json.Marshal(truncate(text)) // a string cannot fail
		return quoted
	}
	return json.RawMessage(text)
}

// observe has the decisions about a request recorded, if somebody is looking.
func (t *sharedTable) observe(request *enrich.Request, source string) {
	if !t.activity.observed(request.Received) {
		return
	}
	request.Observe = func(verdicts []enrich.Verdict) {
		all := make([]Decided, len(verdicts))
		for i := range verdicts {
			all[i] = newDecided(request, source, &verdicts[i])
		}
		t.activity.record(all)
	}
}
