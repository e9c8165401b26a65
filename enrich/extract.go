package enrich

import (
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// subject is a message that needs a decision.
type subject struct {
	event session.Event
	// index of the message in the payload.
	index int32
	// key is the position of the session key in work.keys.
	key span
	// link is the position of the link to the message's user in work.keys; only with
	// Request.Follow, and if the message has a userId.
	link span
	// ofUser: the key is made of a userId.
	ofUser bool
	// untimed: a control call that does not say when it happened.
	untimed bool
	// invalidID says what is wrong with the sessionId of a startSession; the session
	// gets a generated id.
	invalidID error
	// invalidOwnID says what is wrong with the session id that an event came with.
	invalidOwnID error
	// decision is the result.
	decision session.Decision
}

// extract appends a message to w.subjects, or returns why no session decides about
// it.
func (w *work) extract(r *Request, index int) SkipReason {
	b, m := w.payload.b, &w.payload.messages[index]
	kind, track, known := w.kind(r, m)
	switch {
	case !known:
		return OtherType
	case !r.Endpoint.Control() && w.payload.hasJob(m):
		return OfJob
	case m.contextKind == contextOther && !kind.Control():
		return OddContext
	}
	n := len(w.subjects)
	w.subjects = append(w.subjects, subject{index: int32(index)})
	s := &w.subjects[n]
	e := &s.event
	e.Kind = kind
	channel := textOf(m.channel.of(b))
	e.Server = string(channel) == "server"
	if !w.appendKey(s, r, m) {
		w.subjects = w.subjects[:n]
		return NoID
	}
	e.Times, s.untimed = w.timestamps(r, e.Server, m)
	e.Message = w.messageID(r, s, m)

	if kind.Control() {
		if kind == session.Start {
			id := m.sessionID
			if track {
				id = w.payload.find(m.properties, nameSessionID)
			}
			e.ID, s.invalidID = parseSessionID(id.of(b))
		}
		return NotSkipped
	}
	w.ownFields(e, m)
	if e.HasSessionID && (e.Role == session.Device || r.Policy.Automatic == session.AutomaticAdopt) {
		e.ID, s.invalidOwnID = w.ownID(m)
	}
	e.Mobile = string(channel) == "mobile" || isMobileLibrary(textOf(m.libraryName.of(b)))
	e.LoggedOut = string(channel) == "web" && string(m.userID.of(b)) == `""`
	if track {
		e.ColdStart = w.coldStart(e, m)
	}
	return NotSkipped
}

// coldStarts are the names of the tracks that can be cold starts, and of which kind.
var coldStarts = [...]struct {
	event string
	start session.ColdStart
}{
	{"Application Opened", session.Opened},
	{"Application Installed", session.Updated},
	{"Application Updated", session.Updated},
}

// coldStart tells whether a track is the cold start of a mobile app.
func (w *work) coldStart(e *session.Event, m *message) session.ColdStart {
	b := w.payload.b
	event := textOf(m.event.of(b))
	for i := range coldStarts {
		c := &coldStarts[i]
		switch {
		case string(event) != c.event:
		case c.start == session.Opened && string(w.payload.find(m.properties, nameFromBackground).of(b)) == "false":
			return session.Opened
		case c.start == session.Updated && e.Mobile && e.HasSessionStart:
			return session.Updated
		}
	}
	return session.NoColdStart
}

// sentTime is a sentAt that was read. The zero value is that of no text.
type sentTime struct {
	text span
	ms   int64
	ok   bool
}

// timestamps reads when the message says that it happened. untimed means that it has
// neither an originalTimestamp nor a timestamp.
func (w *work) timestamps(r *Request, server bool, m *message) (t session.Timestamps, untimed bool) {
	b := w.payload.b
	original, sent, timestamp := m.originalTimestamp, m.sentAt, m.timestamp
	if isNull(b, sent) {
		sent = w.payload.sentAt
	}
	if r.Stored {
		original, sent, timestamp = w.asSent(r, original, sent, timestamp)
	}
	if server && !isNull(b, timestamp) {
		// The data plane stores the timestamp that a server sent.
		original, sent = timestamp, span{}
	}
	if isNull(b, original) {
		original = timestamp
	}
	t.Original, t.HasOriginal = parseTime(original.of(b))
	if t.HasOriginal {
		if string(sent.of(b)) != string(w.sent.text.of(b)) {
			w.sent.ms, w.sent.ok = parseTime(sent.of(b))
			w.sent.text = sent
		}
		t.Sent, t.HasSent = w.sent.ms, w.sent.ok
	}
	return t, isNull(b, original)
}

// asSent leaves of the timestamps of a stored event those that its SDK sent. The data
// plane fills in what is missing: an originalTimestamp or a sentAt with the moment at
// which it received the event, and the timestamp with
// receivedAt - (sentAt - originalTimestamp).
func (w *work) asSent(r *Request, original, sent, timestamp span) (_, _, _ span) {
	at := func(value span) int64 {
		ms, _ := parseTime(value.of(w.payload.b))
		return ms
	}
	// Each of the four has been rounded down to milliseconds.
	if off := at(timestamp) - (r.Received - (at(sent) - at(original))); off >= -2 && off <= 2 {
		timestamp = span{}
	}
	if at(sent) == r.Received {
		sent = span{}
	}
	if at(original) == r.Received {
		original = span{}
	}
	return original, sent, timestamp
}

// ownFields notes which session fields the SDK itself put into the context.
func (w *work) ownFields(e *session.Event, m *message) {
	id, start := false, false
	for _, f := range w.payload.fields[m.fields:m.fieldsEnd] {
		value := f.value.of(w.payload.b)
		switch {
		case !f.first:
			return
		case f.start && !start:
			start = true
			e.HasStartKey, e.HasSessionStart = true, string(value) == "true"
		case !f.start && !id:
			id = true
			e.HasIDKey, e.HasSessionID = true, value[0] != 'n'
		}
	}
}

// ownID returns the session id that the SDK put into the context, or 0 and what is
// wrong with it.
func (w *work) ownID(m *message) (int64, error) {
	for _, f := range w.payload.fields[m.fields:m.fieldsEnd] {
		if !f.start {
			return parseSessionID(f.value.of(w.payload.b))
		}
	}
	return 0, nil
}

// isNull reports whether a value is missing or null.
func isNull(b []byte, value span) bool { return value.none() || b[value.start] == 'n' }

// hasJob reports whether a message comes from a rETL or cloud-extract job.
func (d *document) hasJob(m *message) bool {
	b := d.b
	if m.sources.none() {
		return false
	}
	job := d.find(m.sources, nameJobRunID)
	return !isNull(b, job) && string(job.of(b)) != `""`
}

// isMobileLibrary reports whether context.library.name is that of a native
// mobile SDK: Android, Kotlin, iOS, Swift, in this order. React Native and
// Flutter send through these.
func isMobileLibrary(name []byte) bool {
	switch string(name) {
	case "com.rudderstack.android.sdk.core", "com.rudderstack.sdk.kotlin.android",
		"rudder-ios-library", "rudder-sdk-swift":
		return true
	}
	return false
}

// appendKey determines to which key the message belongs, and appends the key to
// w.keys. It returns false if the message has no id.
func (w *work) appendKey(s *subject, r *Request, m *message) bool {
	b, e := w.payload.b, &s.event
	user := idOf(m.userID.of(b))
	kind, id := ownerOf(idOf(m.anonymousID.of(b)), user, e.Server)
	if len(id) == 0 {
		return false
	}
	if len(user) > 0 && !w.isAlias(r, m) {
		e.User = session.UserID(hash(0, user))
	}
	// Some server-side SDKs invent an anonymousId for each event.
	e.JoinOnly = e.Server && kind == byAnonymousID
	s.ofUser = kind == byUserID
	if r.Follow {
		w.role(s, r, user)
	}

	start := len(w.keys)
	w.keys = r.appendKey(w.keys, kind, id)
	s.key = w.textFrom(start, w.before().key)
	return true
}

// before returns the subject before the last one.
func (w *work) before() *subject {
	if n := len(w.subjects); n > 1 {
		return &w.subjects[n-2]
	}
	return &noSubject
}

var noSubject subject

// textFrom returns the span of the text that was appended to w.keys at start. If it
// equals the text at last, it is removed again, and last is returned: most messages
// of a batch have the same user.
func (w *work) textFrom(start int, last span) span {
	if string(last.of(w.keys)) == string(w.keys[start:]) {
		w.keys = w.keys[:start]
		return last
	}
	return span{int32(start), int32(len(w.keys))}
}

// role sets the role of the message, with Request.Follow.
func (w *work) role(s *subject, r *Request, user []byte) {
	e := &s.event
	switch {
	case e.JoinOnly:
	case s.ofUser && !e.Kind.Control():
		e.Role, e.JoinOnly = session.Follower, true
	case !s.ofUser:
		e.Role = session.Device
	}
	if e.Role == session.Device && e.User != 0 {
		start := len(w.keys)
		w.keys = r.appendLink(w.keys, byUserID, user)
		s.link = w.textFrom(start, w.before().link)
	}
}

// isAlias reports whether the message is an alias. It names the user's future id
// once, and the SDK continues with the old one. So it does not say whose session it
// is.
func (w *work) isAlias(r *Request, m *message) bool {
	if r.Endpoint != Batch {
		return r.Endpoint == Alias
	}
	named, _ := typeOf(m.typ.of(w.payload.b))
	return named == Alias
}

// messageID identifies a message by its messageId, read as the data plane reads it.
// An event without one is identified by all of its bytes if it says when it
// happened, so that a retry is recognised. If it does not, it counts as a new event
// each time, because two equal events may be one or two. A control call without a
// messageId counts as new each time, too.
func (w *work) messageID(r *Request, s *subject, m *message) session.MessageID {
	b, kind := w.payload.b, s.event.Kind
	var text []byte
	if value := m.messageID.of(b); len(value) > 0 && value[0] == '"' {
		text = idOf(value)
	}
	if len(text) > 0 {
		return session.MessageID(hash(kind, text))
	}
	switch {
	case kind.Control():
		return 0
	case s.untimed:
		return session.MessageID(max(r.Serial+uint64(s.index)*spread, 1))
	}
	return session.MessageID(hash(kind, m.of(b)))
}
