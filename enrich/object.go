package enrich

// name is a JSON key that matters to the proxy, in a message, its context or its
// properties.
type name uint8

const (
	otherName name = iota
	nameAnonymousID
	nameBatch
	nameChannel
	nameContext
	nameEvent
	nameFromBackground
	nameJobRunID
	nameLibrary
	nameMessageID
	nameName
	nameOriginalTimestamp
	nameProperties
	nameSentAt
	nameSessionID
	nameSessionStart
	nameSources
	nameTimestamp
	nameType
	nameUserID
)

// longestName is the length of the longest key below if every character is written
// as an escape.
const longestName = len("originalTimestamp") * len(`\u0000`)

var names = [...]string{
	nameAnonymousID:       "anonymousId",
	nameBatch:             "batch",
	nameChannel:           "channel",
	nameContext:           "context",
	nameEvent:             "event",
	nameFromBackground:    "from_background",
	nameJobRunID:          "job_run_id",
	nameLibrary:           "library",
	nameMessageID:         "messageId",
	nameName:              "name",
	nameOriginalTimestamp: "originalTimestamp",
	nameProperties:        "properties",
	nameSentAt:            "sentAt",
	nameSessionID:         "sessionId",
	nameSessionStart:      "sessionStart",
	nameSources:           "sources",
	nameTimestamp:         "timestamp",
	nameType:              "type",
	nameUserID:            "userId",
}

// namesByHash has the names at the indexes that hashOf returns, which are different
// for all of them (a perfect hash). So one comparison identifies a key. A switch
// would have branches that the processor mispredicts for nearly every key.
var namesByHash = func() (table [32]name) {
	for n, text := range names {
		table[hashOf([]byte(text))] = name(n)
	}
	return table
}()

func hashOf(key []byte) int {
	if len(key) == 0 {
		return 0
	}
	return (int(key[0])*5 + int(key[len(key)-1])*9 + len(key)*7) & 31
}

func nameOf(key []byte) name {
	n := namesByHash[hashOf(key)]
	if string(key) != names[n] {
		return otherName
	}
	return n
}

// object iterates over the members of a JSON object:
//
//	o := objectAt(d, i)
//	for o.next() {
//		o.done(d.scanValue(o.value, depth))
//	}
//	return o.end
type object struct {
	d *document
	// name is the current member's key, keyStart the index of its opening quote, and
	// value the index of its value.
	name     name
	keyStart int
	value    int
	// commaBefore and commaAfter are the indexes of the commas around the member; -1
	// is none. commaAfter is set by done.
	commaBefore, commaAfter int32
	// end is the index after the object, or -1 if it is not valid, once next
	// has returned false.
	end int

	i    int
	last bool
}

// objectAt begins at the brace at b[i].
func objectAt(d *document, i int) object {
	b := d.b
	o := object{d: d, i: skipSpace(b, i+1), end: -1, commaAfter: -1}
	if o.i < len(b) && b[o.i] == '}' {
		o.end, o.last = o.i+1, true
	}
	return o
}

func (o *object) next() bool {
	if o.last {
		return false
	}
	b := o.d.b
	o.keyStart, o.commaBefore = o.i, o.commaAfter
	end := stopAt(o.d.stops, o.i+1)
	if uint(end+2) < uint(len(b)) && b[o.i] == '"' && b[end] == '"' && b[end+1] == ':' && b[end+2] > ' ' {
		o.name, o.value = nameOf(b[o.i+1:end]), end+2
		return true
	}
	o.name, o.value = o.d.name(o.i)
	return o.value >= 0
}

// name reads a key, as scanKey does, and returns which one it is.
func (d *document) name(i int) (n name, value int) {
	end, escaped, value := d.scanKey(i)
	if value < 0 {
		return otherName, -1
	}
	if text := d.b[i+1 : end-1]; !escaped {
		n = nameOf(text)
	} else {
		n = nameOfEscaped(text)
	}
	return n, value
}

func nameOfEscaped(text []byte) name {
	if len(text) > longestName {
		return otherName
	}
	var plain [longestName]byte
	return nameOf(unescape(plain[:0], text))
}

// done finishes a member. end is where its value ended, or -1 if it is invalid.
func (o *object) done(end int) {
	if end < 0 {
		o.last = true
		return
	}
	b := o.d.b
	if end < len(b) && b[end] <= ' ' {
		end = skipSpace(b, end)
	}
	o.commaAfter = -1
	switch {
	case end < len(b) && b[end] == ',':
		o.commaAfter = int32(end)
		end++
		if end < len(b) && b[end] <= ' ' {
			end = skipSpace(b, end)
		}
		o.i = end
	case end < len(b) && b[end] == '}':
		o.end, o.last = end+1, true
	default:
		o.last = true
	}
}

// has reports whether a valid object has at least so many members.
func (d *document) has(s span, members int) bool {
	o := objectAt(d, int(s.start))
	for ; members > 0 && o.next(); members-- {
		o.done(d.scanValue(o.value, 0))
	}
	return members == 0
}

// find returns the first value with this name in a valid object.
func (d *document) find(s span, n name) span {
	if s.none() || d.b[s.start] != '{' {
		return span{}
	}
	o := objectAt(d, int(s.start))
	for o.next() {
		end := d.scanValue(o.value, 0)
		if o.name == n {
			return span{int32(o.value), int32(end)}
		}
		o.done(end)
	}
	return span{}
}
