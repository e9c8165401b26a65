package enrich

// span is a piece of the body: its first byte and the byte after its last. The
// zero span is nothing.
type span struct{ start, end int32 }

func (s span) of(b []byte) []byte { return b[s.start:s.end] }
func (s span) none() bool         { return s.end == 0 }

// member is an element of an object or array, and the commas beside it (-1
// where there is none).
type member struct {
	span
	commaBefore, commaAfter int32
}

// contextKind is what stands under a message's first "context" key.
type contextKind uint8

const (
	contextMissing contextKind = iota
	contextNull
	contextObject
	contextOther
)

// message is where in the body one message and its few fields stand. Of
// duplicate keys it has the first, as the data plane does; the spans of values
// include the quotes of strings.
type message struct {
	member
	typ, event, channel                  span
	userID, anonymousID, messageID       span
	originalTimestamp, timestamp, sentAt span
	sessionID, properties                span
	context, libraryName, sources        span
	contextKind                          contextKind
	// contextMembers counts the members of the first context.
	contextMembers int32
	// fields and fieldsEnd delimit the message's part of payload.fields.
	fields, fieldsEnd int32
}

// field is a context.sessionId or context.sessionStart, duplicates included.
type field struct {
	member
	value span
	start bool // sessionStart, not sessionId
	first bool // in the message's first context, the one that counts
}

// payload is a parsed body.
type payload struct {
	body     []byte
	messages []message
	fields   []field
	sentAt   span
	// list: the messages stand in an array, from which they can be cut.
	list bool
}

func (p *payload) reset(body []byte) {
	*p = payload{body: body, messages: p.messages[:0], fields: p.fields[:0]}
}

// parseSingle reads a body that is one message. It reports whether the body
// can be worked on: whether it is valid, and an object.
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
// body can be worked on: whether it is valid, and has messages and nothing else
// under the first "batch" key.
func (p *payload) parseBatch(body []byte) bool {
	p.reset(body)
	i := skipSpace(body, 0)
	if i >= len(body) || body[i] != '{' {
		return false
	}
	found := false
	o := objectAt(body, i)
	for o.next() {
		switch {
		case o.name == nameBatch && !found:
			found = true
			o.done(p.batch(o.value))
		case o.name == nameSentAt:
			o.done(capture(body, o.value, 1, &p.sentAt))
		default:
			o.done(scanValue(body, o.value, 1))
		}
	}
	return found && o.end >= 0 && skipSpace(body, o.end) == len(body)
}

// batch reads the messages of a batch. Where it has none, or an element that is
// no object, for which the data plane refuses all of it, it returns -1.
func (p *payload) batch(i int) int {
	b := p.body
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
		if i = p.message(i, 2, int32(comma)); i < 0 {
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
func (p *payload) message(i, depth int, comma int32) int {
	b := p.body
	depth++
	p.messages = append(p.messages, message{
		member: member{span{start: int32(i)}, comma, -1},
		fields: int32(len(p.fields)),
	})
	m := &p.messages[len(p.messages)-1]
	o := objectAt(b, i)
	for o.next() {
		var to *span
		switch o.name {
		case nameContext:
			o.done(p.context(o.value, depth, m))
			continue
		case nameType:
			to = &m.typ
		case nameEvent:
			to = &m.event
		case nameChannel:
			to = &m.channel
		case nameUserID:
			to = &m.userID
		case nameAnonymousID:
			to = &m.anonymousID
		case nameMessageID:
			to = &m.messageID
		case nameOriginalTimestamp:
			to = &m.originalTimestamp
		case nameTimestamp:
			to = &m.timestamp
		case nameSentAt:
			to = &m.sentAt
		case nameSessionID:
			to = &m.sessionID
		case nameProperties:
			to = &m.properties
		default:
			o.done(scanValue(b, o.value, depth))
			continue
		}
		o.done(capture(b, o.value, depth, to))
	}
	m.end, m.fieldsEnd = int32(o.end), int32(len(p.fields))
	return o.end
}

// capture walks over a value and notes where it stands, if it is the first of
// its name.
func capture(b []byte, i, depth int, to *span) int {
	end := scanValue(b, i, depth)
	if end >= 0 && to.none() {
		*to = span{int32(i), int32(end)}
	}
	return end
}

func (p *payload) context(i, depth int, m *message) int {
	first := m.contextKind == contextMissing
	kind, end := contextOther, 0
	if p.body[i] == '{' {
		kind, end = contextObject, p.contextMembers(i, depth+1, m, first)
	} else if end = scanValue(p.body, i, depth); p.body[i] == 'n' {
		kind = contextNull
	}
	if first && end >= 0 {
		m.context, m.contextKind = span{int32(i), int32(end)}, kind
	}
	return end
}

func (p *payload) contextMembers(i, depth int, m *message, first bool) int {
	b := p.body
	o := objectAt(b, i)
	for o.next() {
		if first {
			m.contextMembers++
		}
		switch {
		case o.name == nameSessionID || o.name == nameSessionStart:
			f := field{start: o.name == nameSessionStart, first: first}
			end := scanValue(b, o.value, depth)
			o.done(end)
			f.member = member{span{int32(o.keyStart), int32(end)}, o.commaBefore, o.commaAfter}
			f.value = span{int32(o.value), int32(end)}
			p.fields = append(p.fields, f)
		case o.name == nameLibrary && first && b[o.value] == '{':
			o.done(libraryMembers(b, o.value, depth+1, m))
		case o.name == nameSources && first:
			o.done(capture(b, o.value, depth, &m.sources))
		default:
			o.done(scanValue(b, o.value, depth))
		}
	}
	return o.end
}

func libraryMembers(b []byte, i, depth int, m *message) int {
	o := objectAt(b, i)
	for o.next() {
		if o.name == nameName {
			o.done(capture(b, o.value, depth, &m.libraryName))
		} else {
			o.done(scanValue(b, o.value, depth))
		}
	}
	return o.end
}

// find returns the first value under a name in the object that begins at
// b[i]; the object is known to be valid.
func find(b []byte, s span, n name) span {
	if s.none() || b[s.start] != '{' {
		return span{}
	}
	o := objectAt(b, int(s.start))
	for o.next() {
		end := scanValue(b, o.value, 0)
		if o.name == n {
			return span{int32(o.value), int32(end)}
		}
		o.done(end)
	}
	return span{}
}
