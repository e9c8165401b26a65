package enrich

import (
	"encoding/json"
	"slices"
	"sync"
)

// RemoveMembers removes the members at a path, such as source.dataplanes, from a JSON
// object: all of them if keys are duplicated, however the keys are escaped. One comma
// is removed with each; every other byte stays. changed is nil if there are no such
// members, and shares the memory of text. valid is false if text is not a JSON
// object, or nests deeper than 512.
func RemoveMembers(text []byte, path ...string) (changed Body, valid bool) {
	p := pathEdit{path: path}
	p.found = func(m member, _ span) { p.members = append(p.members, m) }
	if !p.walk(text) {
		return nil, false
	}
	p.edits = cut(nil, p.members)
	slices.SortFunc(p.edits, byStart)
	return p.apply(), true
}

// ReplaceStrings replaces strings in the values of the members at a path, at any
// depth. It calls replace with the key of each string ("" if the string is not in an
// object inside the value) and its text, both unescaped, and replaces the string if
// that returns true. Every other byte stays. changed and valid are as in
// [RemoveMembers].
func ReplaceStrings(text []byte, replace func(key, value string) (with string, ok bool), path ...string) (changed Body, valid bool) {
	p := pathEdit{path: path, replace: replace}
	p.found = func(_ member, value span) { p.strings(int(value.start), "") }
	if !p.walk(text) {
		return nil, false
	}
	return p.apply(), true
}

// EachMember calls fn with each member of a JSON object: its key, unescaped, and
// where its value begins and ends in text. The key is valid during the call. It
// reports whether text is a JSON object that nests at most 512 deep; if it is not, fn
// may have been called for what came before the fault.
func EachMember(text []byte, fn func(key []byte, start, end int)) (valid bool) {
	d := documents.Get().(*document)
	defer func() {
		d.b = nil
		documents.Put(d)
	}()
	d.reset(text)
	i := skipSpace(text, 0)
	if i >= len(text) || text[i] != '{' {
		return false
	}
	var plain [longestName]byte
	o := objectAt(d, i)
	for o.next() {
		end := d.scanValue(o.value, 1)
		if end >= 0 {
			closing, escaped := d.scanString(o.keyStart)
			key := text[o.keyStart+1 : closing-1]
			if escaped {
				key = unescape(plain[:0], key)
			}
			fn(key, o.value, end)
		}
		o.done(end)
	}
	return o.end >= 0 && skipSpace(text, o.end) == len(text)
}

var documents = sync.Pool{New: func() any { return new(document) }}

// ParseTime reads a JSON string as a timestamp of an event is read: as the data plane
// does. It returns Unix milliseconds, rounded down.
func ParseTime(value []byte) (ms int64, ok bool) { return parseTime(value) }

// ParseSessionID reads a session id as one of an SDK is read: a JSON number, or a
// string of digits, of at least ten digits and at most 2^53-1.
func ParseSessionID(value []byte) (int64, error) { return parseSessionID(value) }

// pathEdit edits the members at a path of a JSON object.
type pathEdit struct {
	document
	path    []string
	found   func(member, span)
	replace func(key, value string) (string, bool)

	members  []member
	edits    []edit
	inserted []byte
}

func (p *pathEdit) walk(text []byte) (valid bool) {
	if len(text) > maxText {
		return false
	}
	p.reset(text)
	i := skipSpace(text, 0)
	if i >= len(text) || text[i] != '{' {
		return false
	}
	end := p.object(i, 0)
	return end >= 0 && skipSpace(text, end) == len(text)
}

// maxText bounds the length of a text, so that spans can hold its indexes.
const maxText = 1 << 30

// object reads an object that is at the first `at` keys of the path.
func (p *pathEdit) object(i, at int) int {
	o := objectAt(&p.document, i)
	for o.next() {
		m := member{span: span{start: int32(o.keyStart)}, commaBefore: o.commaBefore}
		on, last := p.key(o.keyStart) == p.path[at], at == len(p.path)-1
		var end int
		if on && !last && p.b[o.value] == '{' {
			end = p.object(o.value, at+1)
		} else {
			end = p.scanValue(o.value, at+1)
		}
		o.done(end)
		if on && last && end >= 0 {
			m.end, m.commaAfter = int32(end), o.commaAfter
			p.found(m, span{int32(o.value), int32(end)})
		}
	}
	return o.end
}

// key returns the key that begins at i, unescaped.
func (p *pathEdit) key(i int) string {
	end, escaped := p.scanString(i)
	text := p.b[i+1 : end-1]
	if escaped {
		text = unescape(nil, text)
	}
	return string(text)
}

// strings replaces strings in the valid value that begins at i, and returns the index
// after it.
func (p *pathEdit) strings(i int, key string) int {
	switch p.b[i] {
	case '"':
		end, _ := p.scanString(i)
		if with, ok := p.replace(key, string(textOf(p.b[i:end]))); ok {
			from := len(p.inserted)
			p.inserted = appendString(p.inserted, with)
			p.edits = append(p.edits, edit{span{int32(i), int32(end)}, span{int32(from), int32(len(p.inserted))}})
		}
		return end
	case '{':
		o := objectAt(&p.document, i)
		for o.next() {
			o.done(p.strings(o.value, p.key(o.keyStart)))
		}
		return o.end
	case '[':
		for i = skipSpace(p.b, i+1); p.b[i] != ']'; {
			if i = skipSpace(p.b, p.strings(i, key)); p.b[i] == ',' {
				i = skipSpace(p.b, i+1)
			}
		}
		return i + 1
	}
	return scanScalar(p.b, i)
}

// appendString appends a JSON string.
func appendString(to []byte, text string) []byte {
	quoted, _ := json.Marshal(text) // cannot fail for a string
	return append(to, quoted...)
}

func (p *pathEdit) apply() Body {
	if len(p.edits) == 0 {
		return nil
	}
	w := work{edits: p.edits, inserted: p.inserted}
	w.payload.document = p.document
	return w.splice()
}
