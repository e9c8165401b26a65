package enrich

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// kind returns the kind of the message, and whether it is a track.
func (w *work) kind(r *Request, m *message) (kind session.Kind, track, known bool) {
	b := w.payload.b
	endpoint := r.Endpoint
	if endpoint == Batch {
		endpoint, known = typeOf(m.typ.of(b))
		if !known {
			return 0, false, false
		}
	}
	switch endpoint {
	case StartSession:
		return session.Start, false, true
	case EndSession:
		return session.End, false, true
	case ResetSession:
		return session.Reset, false, true
	case Identify:
		return session.Identify, false, true
	case Track:
		return r.Names.kind(textOf(m.event.of(b))), true, true
	}
	return session.Other, false, true
}

// kind returns the kind of a track with this name.
func (n *Names) kind(event []byte) session.Kind {
	switch name := string(event); {
	case name == "":
		return session.Other
	case name == n.Start:
		return session.Start
	case name == n.End:
		return session.End
	case name == n.Reset:
		return session.Reset
	}
	return session.Other
}

// typeOf reads a message's type as the data plane does: ignoring case, trimmed.
func typeOf(value []byte) (Endpoint, bool) {
	var lower [len("resetsession")]byte
	text := bytes.TrimSpace(textOf(value))
	if len(text) > len(lower) {
		return 0, false
	}
	if slices.ContainsFunc(text, func(c byte) bool { return c >= utf8.RuneSelf }) {
		// It also turns the Kelvin sign into a k, and what is no UTF-8 into more bytes.
		if text = bytes.ToLower(text); len(text) > len(lower) {
			return 0, false
		}
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(text)]) {
	case "track":
		return Track, true
	case "identify":
		return Identify, true
	case "page":
		return Page, true
	case "screen":
		return Screen, true
	case "group":
		return Group, true
	case "alias":
		return Alias, true
	case "startsession":
		return StartSession, true
	case "endsession":
		return EndSession, true
	case "resetsession":
		return ResetSession, true
	}
	return 0, false
}
