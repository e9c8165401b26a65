package enrich

import (
	"unsafe"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Verdict describes the decision about one message, for people.
type Verdict struct {
	// Type is the message's type, or the name of its control call; "" if it has none.
	Type string
	// Event is the name of a track.
	Event string
	// AnonymousID, UserID and MessageID are those of the message, "" for none.
	AnonymousID, UserID, MessageID string
	// Key is the key of its session. Server: it comes from a server-side SDK. Mobile:
	// it comes from a native mobile SDK.
	Key            string
	Server, Mobile bool
	// SentAt and OriginalTimestamp are its timestamps as JSON; "" for none. Times has
	// them parsed; Decision.At is when it happened.
	SentAt, OriginalTimestamp string
	Times                     session.Timestamps
	// Own and OwnStart are the session fields that the message came with, as JSON; ""
	// for none.
	Own, OwnStart string
	// Skip is why no session decided; if it is set, the fields below mean nothing.
	Skip     SkipReason
	Kind     session.Kind
	Decision session.Decision
	// InvalidID says what is wrong with the sessionId of a startSession.
	InvalidID error
	// InvalidOwnID says what is wrong with the id that an event came with, with
	// automatic adopt.
	InvalidOwnID error
	// Refused: the control call would be answered with 400, and change nothing.
	Refused bool
}

// Action is what was done, as a word: stamped, cleared, untouched or consumed.
func (v *Verdict) Action() string {
	if v.Refused || v.Skip == NotSkipped && v.Kind.Control() {
		return "consumed"
	}
	return v.Decision.Action.String()
}

// Reason is why, as a word such as manual_session.
func (v *Verdict) Reason() string {
	switch {
	case v.Refused:
		return "invalid"
	case v.Skip != NotSkipped:
		return v.Skip.String()
	}
	return v.Decision.Because.Reason.String()
}

// observe calls r.Observe with the verdicts.
func (w *work) observe(r *Request) {
	if r.Observe != nil {
		r.Observe(w.verdicts(r))
	}
}

// shown returns a text for a verdict.
func (r *Request) shown(text []byte) string {
	if r.Borrowed {
		return unsafe.String(unsafe.SliceData(text), len(text))
	}
	return string(text)
}

// verdicts returns the verdicts about all messages. Like them, the subjects are in the
// order of the body.
func (w *work) verdicts(r *Request) []Verdict {
	var verdicts []Verdict
	if r.Borrowed {
		verdicts = w.borrowed[:0]
	}
	verdicts = append(verdicts, make([]Verdict, len(w.payload.messages))...)
	if r.Borrowed {
		w.borrowed = verdicts
	}
	next := 0
	for i := range w.payload.messages {
		v := &verdicts[i]
		w.describe(r, v, &w.payload.messages[i])
		if next < len(w.subjects) && int(w.subjects[next].index) == i {
			s := &w.subjects[next]
			v.Times, v.Kind, v.Decision = s.event.Times, s.event.Kind, s.decision
			v.Key, v.Server, v.Mobile = r.shown(s.key.of(w.keys)), s.event.Server, s.event.Mobile
			v.InvalidID, v.InvalidOwnID = s.invalidID, s.invalidOwnID
			if v.Kind.Control() {
				v.Type = causeOf(v.Kind, session.ByControl).String()
			}
			if w.noRoom && v.Decision.Action != session.Keep {
				v.Skip, v.Decision = NoRoom, session.Decision{}
			}
			next++
			continue
		}
		v.Skip = w.skipOf(r, i)
	}
	return verdicts
}

// skipOf determines again why a message was skipped. extract does not keep the reason,
// because most requests have no observer.
func (w *work) skipOf(r *Request, i int) SkipReason {
	n, keys := len(w.subjects), len(w.keys)
	skip := w.extract(r, i)
	w.subjects, w.keys = w.subjects[:n], w.keys[:keys]
	return skip
}

func (w *work) describe(r *Request, v *Verdict, m *message) {
	b := w.payload.b
	v.Type = r.Endpoint.String()
	if r.Endpoint == Batch {
		v.Type = r.shown(textOf(m.typ.of(b)))
	}
	v.Event = r.shown(textOf(m.event.of(b)))
	v.AnonymousID = r.shown(idOf(m.anonymousID.of(b)))
	v.UserID = r.shown(idOf(m.userID.of(b)))
	v.MessageID = r.shown(idOf(m.messageID.of(b)))
	sent, original := m.sentAt, m.originalTimestamp
	if isNull(b, sent) {
		sent = w.payload.sentAt
	}
	if isNull(b, original) {
		original = m.timestamp
	}
	v.SentAt, v.OriginalTimestamp = r.shown(sent.of(b)), r.shown(original.of(b))
	for _, f := range w.payload.fields[m.fields:m.fieldsEnd] {
		value := r.shown(f.value.of(b))
		switch {
		case !f.first:
			return
		case f.start && v.OwnStart == "":
			v.OwnStart = value
		case !f.start && v.Own == "":
			v.Own = value
		}
	}
}
