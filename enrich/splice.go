package enrich

import (
	"slices"
	"strconv"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// edit replaces a piece of the body by a text.
type edit struct {
	span
	text text
	id   int64
}

// text is what an edit puts in.
type text uint8

const (
	nothing     text = 0
	idField     text = 1                    // "sessionId":1
	startField  text = 2                    // "sessionStart":true
	bothFields  text = idField + startField // "sessionId":1,"sessionStart":true
	number      text = 4                    // 1
	literalTrue text = 5                    // true

	// They go with one of the above.
	comma     text = 1 << 4 // a comma behind it
	inObject  text = 1 << 5 // in braces
	inContext text = 1 << 6 // in braces, with the key "context" before it
	plainText text = comma - 1
)

const (
	quotedID      = `"sessionId":`
	quotedStart   = `"sessionStart":true`
	quotedContext = `"context":`
)

func (e *edit) append(dst []byte) []byte {
	if e.text&inContext != 0 {
		dst = append(dst, quotedContext...)
	}
	if e.text&(inContext|inObject) != 0 {
		dst = append(dst, '{')
	}
	switch e.text & plainText {
	case number:
		dst = strconv.AppendInt(dst, e.id, 10)
	case literalTrue:
		dst = append(dst, "true"...)
	case bothFields:
		dst = append(dst, quotedID...)
		dst = strconv.AppendInt(dst, e.id, 10)
		dst = append(dst, ","+quotedStart...)
	case idField:
		dst = append(dst, quotedID...)
		dst = strconv.AppendInt(dst, e.id, 10)
	case startField:
		dst = append(dst, quotedStart...)
	}
	if e.text&(inContext|inObject) != 0 {
		dst = append(dst, '}')
	}
	if e.text&comma != 0 {
		dst = append(dst, ',')
	}
	return dst
}

// maxEdit is more than any edit puts in.
const maxEdit = 80

// size returns how long the body is after the edits.
func size(body []byte, edits []edit) int {
	n := len(body)
	var text [maxEdit]byte
	for i := range edits {
		e := &edits[i]
		n += len(e.append(text[:0])) - int(e.end-e.start)
	}
	return n
}

// splice returns a copy of the body with the edits, which are sorted and do not
// overlap, done.
func splice(body []byte, edits []edit, size int) []byte {
	out := make([]byte, 0, size)
	at := int32(0)
	for i := range edits {
		e := &edits[i]
		out = e.append(append(out, body[at:e.start]...))
		at = e.end
	}
	return append(out, body[at:]...)
}

// cut appends the edits that take members, which are sorted, out of their
// objects or arrays. A comma goes with each, so that what is left is valid
// again. All white space stays.
func cut(edits []edit, members []member) []edit {
	for len(members) > 0 {
		// A run of members that follow on each other goes with its commas.
		n := 1
		for n < len(members) && members[n-1].commaAfter >= 0 &&
			members[n].commaBefore == members[n-1].commaAfter {
			n++
		}
		run := members[:n]
		if last := run[n-1]; last.commaAfter < 0 && run[0].commaBefore >= 0 {
			edits = append(edits, remove(run[0].commaBefore, run[0].commaBefore+1))
		}
		for _, m := range run {
			edits = append(edits, remove(m.start, m.end))
			if m.commaAfter >= 0 {
				edits = append(edits, remove(m.commaAfter, m.commaAfter+1))
			}
		}
		members = members[n:]
	}
	return edits
}

func remove(start, end int32) edit { return edit{span: span{start, end}} }

// apply appends the edits that a decision makes to a message.
func (w *work) apply(m *message, d sessionstate.Decision) {
	first := len(w.edits)
	switch d.Action {
	case sessionstate.Stamp:
		w.stamp(m, d)
		if !d.Start {
			w.cutFields(m, true)
		}
	case sessionstate.Clear:
		w.cutFields(m, false)
	}
	slices.SortFunc(w.edits[first:], byStart)
}

func byStart(a, b edit) int { return int(a.start - b.start) }

// cutFields cuts all of a message's session fields, or only those that are
// sessionStart. Of duplicates every one goes.
func (w *work) cutFields(m *message, onlyStart bool) {
	w.members = w.members[:0]
	for _, f := range w.payload.fields[m.fields:m.fieldsEnd] {
		if f.start || !onlyStart {
			w.members = append(w.members, f.member)
		}
	}
	w.edits = cut(w.edits, w.members)
}

// stamp sets sessionId and, where the decision says so, sessionStart. Of
// duplicates the first counts.
func (w *work) stamp(m *message, d sessionstate.Decision) {
	b := w.payload.body
	insert := edit{text: idField, id: d.SessionID}
	if d.Start {
		insert.text = bothFields
	}
	stay := m.contextMembers
	for _, f := range w.payload.fields[m.fields:m.fieldsEnd] {
		value := f.value.of(b)
		switch {
		case !f.first:
		case f.start && !d.Start:
			stay--
		case f.start && (insert.text == bothFields || insert.text == startField):
			insert.text -= startField
			if string(value) != "true" {
				w.edits = append(w.edits, edit{f.value, literalTrue, 0})
			}
		case !f.start && (insert.text == bothFields || insert.text == idField):
			insert.text -= idField
			var text [20]byte
			if string(value) != string(strconv.AppendInt(text[:0], d.SessionID, 10)) {
				w.edits = append(w.edits, edit{f.value, number, d.SessionID})
			}
		}
	}
	if insert.text == nothing {
		return
	}
	switch m.contextKind {
	case contextMissing:
		insert.span = span{m.start + 1, m.start + 1}
		insert.text |= inContext | comma
	case contextNull:
		insert.span = m.context
		insert.text |= inObject
	default:
		insert.span = span{m.context.start + 1, m.context.start + 1}
		if stay > 0 {
			insert.text |= comma
		}
	}
	w.edits = append(w.edits, insert)
}
