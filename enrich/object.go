package enrich

// name is a key that means something to the proxy, in a message, its context
// or its properties.
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

// longestName is the length of the longest key below when every character of
// it is written as an escape.
const longestName = len("originalTimestamp") * len(`\u0000`)

func nameOf(key []byte) name {
	switch string(key) {
	case "anonymousId":
		return nameAnonymousID
	case "batch":
		return nameBatch
	case "channel":
		return nameChannel
	case "context":
		return nameContext
	case "event":
		return nameEvent
	case "from_background":
		return nameFromBackground
	case "job_run_id":
		return nameJobRunID
	case "library":
		return nameLibrary
	case "messageId":
		return nameMessageID
	case "name":
		return nameName
	case "originalTimestamp":
		return nameOriginalTimestamp
	case "properties":
		return nameProperties
	case "sentAt":
		return nameSentAt
	case "sessionId":
		return nameSessionID
	case "sessionStart":
		return nameSessionStart
	case "sources":
		return nameSources
	case "timestamp":
		return nameTimestamp
	case "type":
		return nameType
	case "userId":
		return nameUserID
	}
	return otherName
}

// object walks over the members of an object:
//
//	o := objectAt(b, i)
//	for o.next() {
//		o.done(scanValue(b, o.value, depth))
//	}
//	return o.end
type object struct {
	b []byte
	// name is the current member's key, keyStart where its quote stands, and
	// value where its value begins.
	name     name
	keyStart int
	value    int
	// commaBefore and commaAfter stand beside the member; -1 is none.
	// commaAfter is known once the member is done.
	commaBefore, commaAfter int32
	// end is the index after the object, or -1 if it is not valid, once next
	// has returned false.
	end int

	i    int
	last bool
}

// objectAt begins at the brace at b[i].
func objectAt(b []byte, i int) object {
	o := object{b: b, i: skipSpace(b, i+1), end: -1, commaAfter: -1}
	if o.i < len(b) && b[o.i] == '}' {
		o.end, o.last = o.i+1, true
	}
	return o
}

func (o *object) next() bool {
	if o.last {
		return false
	}
	end, escaped, value := scanKey(o.b, o.i)
	if value < 0 {
		return false
	}
	o.keyStart, o.value, o.commaBefore = o.i, value, o.commaAfter
	if text := o.b[o.i+1 : end-1]; !escaped {
		o.name = nameOf(text)
	} else {
		o.name = nameOfEscaped(text)
	}
	return true
}

func nameOfEscaped(text []byte) name {
	if len(text) > longestName {
		return otherName
	}
	var plain [longestName]byte
	return nameOf(unescape(plain[:0], text))
}

// done says where the member's value ended, or -1 if it is not valid.
func (o *object) done(end int) {
	if end < 0 {
		o.last = true
		return
	}
	b := o.b
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
