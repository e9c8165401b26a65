package enrich

import "math/bits"

// span is a piece of the body, from start to before end. The zero span stands for
// a missing value.
type span struct{ start, end int32 }

func (s span) of(b []byte) []byte { return b[s.start:s.end] }
func (s span) none() bool         { return s.end == 0 }

// member is an element of an object or array, and the commas beside it (-1
// where there is none).
type member struct {
	span
	commaBefore, commaAfter int32
}

// contextKind is the kind of value under a message's first "context" key.
type contextKind uint8

const (
	contextMissing contextKind = iota
	contextNull
	contextObject
	contextOther
)

// message has the positions of one message and of its few fields in the body. Of
// duplicate keys it has the first, as the data plane does. The spans of strings
// include the quotes.
type message struct {
	member
	typ, event, channel                  span
	userID, anonymousID, messageID       span
	originalTimestamp, timestamp, sentAt span
	sessionID, properties                span
	context, libraryName, sources        span
	contextKind                          contextKind
	// fields and fieldsEnd delimit the message's part of payload.fields.
	fields, fieldsEnd int32
}

// field is one context.sessionId or context.sessionStart; duplicates are fields too.
type field struct {
	member
	value span
	start bool // sessionStart, not sessionId
	first bool // in the message's first context, the one that counts
}

// payload is a parsed body.
type payload struct {
	document
	messages []message
	fields   []field
	sentAt   span
	// list: the messages are in an array, from which they can be cut.
	list bool
}

func (p *payload) reset(body []byte) {
	*p = payload{document: p.document, messages: p.messages[:0], fields: p.fields[:0]}
	p.document.reset(body)
}

// parseSingle reads a body that is one message. It reports whether the body is a
// valid JSON object.
func (p *payload) parseSingle(body []byte) bool {
	p.reset(body)
	i := skipSpace(body, 0)
	if i >= len(body) || body[i] != '{' {
		return false
	}
	end := p.message(i, 0, -1)
	return end >= 0 && skipSpace(body, end) == len(body)
}

// parseBatch reads a body with messages under "batch". It reports whether the
// body is valid, and has messages and nothing else under the first "batch" key.
func (p *payload) parseBatch(body []byte) bool {
	p.reset(body)
	i := skipSpace(body, 0)
	if i >= len(body) || body[i] != '{' {
		return false
	}
	found := false
	o := objectAt(&p.document, i)
	for o.next() {
		switch {
		case o.name == nameBatch && !found:
			found = true
			o.done(p.batch(o.value))
		case o.name == nameSentAt:
			end := p.scanValue(o.value, 1)
			if end >= 0 && p.sentAt.none() {
				p.sentAt = span{int32(o.value), int32(end)}
			}
			o.done(end)
		default:
			o.done(p.scanValue(o.value, 1))
		}
	}
	return found && o.end >= 0 && skipSpace(body, o.end) == len(body)
}

// batch reads the messages of a batch. It returns -1 if there are none, or if an
// element is not an object: the data plane refuses such a batch as a whole.
func (p *payload) batch(i int) int {
	b := p.b
	if b[i] == '{' {
		return p.message(i, 1, -1)
	}
	if b[i] != '[' {
		return -1
	}
	p.list = true
	comma := -1
	for {
		i = skipSpace(b, i+1)
		if i >= len(b) || b[i] != '{' {
			return -1
		}
		if i = p.message(i, 2, int32(comma)); i < 0 || len(p.messages) > maxMessages {
			return -1
		}
		if i = skipSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ']':
			return i + 1
		case ',':
			comma = i
			p.messages[len(p.messages)-1].commaAfter = int32(i)
		default:
			return -1
		}
	}
}

// message reads the message that begins at b[i] and appends it. depth is how
// many objects and arrays are around it.
//
// It reads the members of the message, of its contexts and of their libraries in
// one loop, with the stops ahead in local variables, as scanContainer does.
func (p *payload) message(i, depth int, comma int32) int {
	b, stops := p.b, p.stops
	p.messages = append(p.messages, message{
		member: member{span{start: int32(i)}, comma, -1},
		fields: int32(len(p.fields)),
	})
	m := &p.messages[len(p.messages)-1]
	// The member that is being read: of the message, of its context, of its library.
	var path [3]memberPos
	level := 0
	i = skipSpace(b, i+1)
	at, ahead := seek(stops, i)
	begun := true
	for {
		// The key of a member begins at i, or an empty object ends there.
		if i >= len(b) {
			return -1
		}
		if !begun || b[i] != '}' {
			here := &path[level]
			here.key = i
			if b[i] != '"' {
				return -1
			}
			at, ahead = next(stops, at, ahead)
			at, ahead = next(stops, at, ahead&(ahead-1))
			end := int(at<<6) + bits.TrailingZeros64(ahead)
			ahead &= ahead - 1
			if uint(end+2) < uint(len(b)) && b[end] == '"' && b[end+1] == ':' && b[end+2] > ' ' {
				here.name, i = nameOf(b[i+1:end]), end+2
			} else {
				if here.name, i = p.name(i); i < 0 {
					return -1
				}
				at, ahead = seek(stops, i)
			}
			here.value = i
			switch c := b[i]; {
			case c == '"':
				at, ahead = next(stops, at, ahead)
				at, ahead = next(stops, at, ahead&(ahead-1))
				end := int(at<<6) + bits.TrailingZeros64(ahead)
				ahead &= ahead - 1
				if uint(end) < uint(len(b)) && b[end] == '"' {
					i = end + 1
				} else {
					if i, _ = p.scanStringSlowly(end); i < 0 {
						return -1
					}
					at, ahead = seek(stops, i)
				}
			case c == '{' && (level == 0 && here.name == nameContext || level == 1 && here.name == nameLibrary):
				level++
				i = skipSpace(b, i+1)
				at, ahead = seek(stops, i)
				begun = true
				continue
			case c == '{' || c == '[':
				if i = p.scanContainer(i, depth+level+1); i < 0 {
					return -1
				}
				at, ahead = seek(stops, i)
			default:
				if i = scanScalar(b, i); i < 0 {
					return -1
				}
			}
			if here.name != otherName {
				p.note(m, level, here, i)
			}
		}
		begun = false
		for {
			// A value ended at i.
			if i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
				at, ahead = seek(stops, i)
			}
			if i >= len(b) {
				return -1
			}
			if b[i] != '}' {
				break
			}
			i++
			if level--; level < 0 {
				m.end, m.fieldsEnd = int32(i), int32(len(p.fields))
				return i
			}
			p.note(m, level, &path[level], i)
		}
		if b[i] != ',' {
			return -1
		}
		if i++; i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
			at, ahead = seek(stops, i)
		}
	}
}

// memberPos is the position of a member whose value is being read.
type memberPos struct {
	name       name
	key, value int
}

// note notes the position of a value that ended at end, if the field matters.
func (p *payload) note(m *message, level int, at *memberPos, end int) {
	value := span{int32(at.value), int32(end)}
	first := m.contextKind == contextMissing
	switch {
	case level == 0 && at.name == nameContext:
		if first {
			m.context, m.contextKind = value, contextKindOf(p.b[at.value])
		}
	case level == 0:
		if to := m.field(at.name); to != nil && to.none() {
			*to = value
		}
	case level == 2:
		if first && at.name == nameName && m.libraryName.none() {
			m.libraryName = value
		}
	case at.name == nameSources:
		if first && m.sources.none() {
			m.sources = value
		}
	case at.name == nameSessionID || at.name == nameSessionStart:
		p.fields = append(p.fields, field{
			member: memberAt(p.b, at.key, end),
			value:  value, start: at.name == nameSessionStart, first: first,
		})
	}
}

// field returns the span in which to note the value of one of the message's keys,
// or nil for other keys.
func (m *message) field(n name) *span {
	switch n {
	case nameType:
		return &m.typ
	case nameEvent:
		return &m.event
	case nameChannel:
		return &m.channel
	case nameUserID:
		return &m.userID
	case nameAnonymousID:
		return &m.anonymousID
	case nameMessageID:
		return &m.messageID
	case nameOriginalTimestamp:
		return &m.originalTimestamp
	case nameTimestamp:
		return &m.timestamp
	case nameSentAt:
		return &m.sentAt
	case nameSessionID:
		return &m.sessionID
	case nameProperties:
		return &m.properties
	}
	return nil
}

func contextKindOf(c byte) contextKind {
	switch c {
	case '{':
		return contextObject
	case 'n':
		return contextNull
	}
	return contextOther
}

// memberAt returns the member of an object, from key to end, with the commas
// beside it.
func memberAt(b []byte, key, end int) member {
	m := member{span{int32(key), int32(end)}, -1, -1}
	before := key - 1
	for isSpace(b[before]) {
		before--
	}
	if b[before] == ',' {
		m.commaBefore = int32(before)
	}
	if after := skipSpace(b, end); after < len(b) && b[after] == ',' {
		m.commaAfter = int32(after)
	}
	return m
}
