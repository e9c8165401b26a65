package caddymodule

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Decided is what was decided about one message, as the admin API, the command
// line and the inspector show it.
type Decided struct {
	// Received is when its request arrived, At when it happened.
	Received time.Time `json:"received"`
	At       time.Time `json:"at,omitzero"`
	// Timing is how At was found.
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

	// Action is stamped, cleared, untouched or consumed; Reason is why, or what a
	// control call comes to.
	Action string `json:"action"`
	Reason string `json:"reason"`
	// SessionID is that which was set, or answered.
	SessionID int64 `json:"session_id,omitempty"`
	// Start: it carries the start mark; Again: it did before.
	Start bool `json:"session_start,omitempty"`
	Again bool `json:"again,omitempty"`
	// Began and Ended are what it meant for sessions.
	Began bool `json:"began,omitempty"`
	Ended bool `json:"ended,omitempty"`
	// Had are the session fields that it came with.
	HadID    json.RawMessage `json:"had_session_id,omitempty"`
	HadStart json.RawMessage `json:"had_session_start,omitempty"`
	// Shadow: it was decided, and nothing was done.
	Shadow bool `json:"shadow,omitempty"`

	received int64
}

// Timing is how the time of a message was found: docs/sessions.md, "When an event
// happened".
type Timing struct {
	// Original and SentAt are what the message's clock said; neither is there if it
	// does not tell its clock.
	Original time.Time `json:"original,omitzero"`
	SentAt   time.Time `json:"sent_at,omitzero"`
	// Clock is device or server, Lag how much later than SentAt the message arrived,
	// and Way the smallest lag that was known, in milliseconds.
	Clock string `json:"clock,omitempty"`
	Lag   int64  `json:"lag,omitempty"`
	Way   int64  `json:"way,omitempty"`
	// Compared is how it was compared with the beginning of what it was found in:
	// clock or event_time.
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

// decided puts what people are to see of a verdict together.
func decided(r *enrich.Request, source string, v *enrich.Verdict) Decided {
	d := Decided{
		Received: time.UnixMilli(r.Received).UTC(), Endpoint: r.Endpoint.String(),
		WriteKey: clip(r.WriteKey), Source: source,
		Type: clip(v.Type), Event: clip(v.Event),
		AnonymousID: clip(v.AnonymousID), UserID: clip(v.UserID), MessageID: clip(v.MessageID),
		Action: v.Action(), Reason: v.Reason(),
		HadID: rawJSON(v.Own), HadStart: rawJSON(v.OwnStart),
		Shadow:   r.Shadow,
		received: r.Received,
	}
	if v.Skip != enrich.Asked {
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

// longestShown is how much of a text is kept, in bytes: whoever sends a large
// one is not to have it kept a thousand times.
const longestShown = 256

// cut is what an id ends with that is not shown whole.
const cut = "…"

func clip(text string) string {
	if len(text) > longestShown {
		return strings.ToValidUTF8(text[:longestShown], "") + cut
	}
	return text
}

// Concerns reports whether the decision is about a message with this write key,
// anonymousId and userId; "" is any.
func (d *Decided) Concerns(writeKey, anonymousID, userID string) bool {
	is := func(wanted, has string) bool { return wanted == "" || clip(wanted) == has }
	return is(writeKey, d.WriteKey) && is(anonymousID, d.AnonymousID) && is(userID, d.UserID)
}

// rawJSON keeps a value of a message as it came, unless it is long.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	if len(text) > longestShown || !json.Valid([]byte(text)) {
		quoted, _ := json.Marshal(clip(text)) // a string can always be one
		return quoted
	}
	return json.RawMessage(text)
}

// observe has the decisions of a request shown to those who look, if any do.
func (t *sharedTable) observe(request *enrich.Request, source string) {
	if !t.activity.wanted(request.Received) {
		return
	}
	request.Observe = func(verdicts []enrich.Verdict) {
		all := make([]Decided, len(verdicts))
		for i := range verdicts {
			all[i] = decided(request, source, &verdicts[i])
		}
		t.activity.note(all)
	}
}
