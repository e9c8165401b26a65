package enrich

import (
	"slices"
	"strconv"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// edit replaces a piece of the body with a text in work.inserted.
type edit struct {
	span
	text span
}

func byStart(a, b edit) int { return int(a.start - b.start) }

// grown returns how many bytes longer the edits make the body.
func grown(edits []edit) (n int) {
	for i := range edits {
		e := &edits[i]
		n += int(e.text.end - e.text.start - (e.end - e.start))
	}
	return n
}

// splice returns the body with the edits applied. They must be sorted and must not
// overlap.
func (w *work) splice() Body {
	body := w.payload.b
	var pieces Body
	var inserted []byte
	if len(w.edits) == 1 && len(w.inserted) <= len(oneEdit{}.inserted) {
		small := new(oneEdit)
		pieces, inserted = small.pieces[:0], small.inserted[:copy(small.inserted[:], w.inserted)]
	} else {
		pieces, inserted = make(Body, 0, 2*len(w.edits)+1), slices.Clone(w.inserted)
	}
	at := int32(0)
	for i := range w.edits {
		e := &w.edits[i]
		if at < e.start {
			pieces = append(pieces, body[at:e.start])
		}
		if e.text.start < e.text.end {
			pieces = append(pieces, e.text.of(inserted))
		}
		at = e.end
	}
	return append(pieces, body[at:])
}

// oneEdit is the memory for the usual request: a session id in a single event.
type oneEdit struct {
	pieces   [3][]byte
	inserted [56]byte
}

// cut appends the edits that remove members from their objects or arrays. The members
// must be sorted. One comma is removed with each, so that the rest is valid JSON. All
// white space stays.
func cut(edits []edit, members []member) []edit {
	for len(members) > 0 {
		// Adjacent members are removed together with the commas between them.
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
func (w *work) apply(m *message, d session.Decision) {
	first := len(w.edits)
	switch d.Action {
	case session.Stamp:
		w.stamp(m, d)
		if !d.Start {
			w.cutFields(m, true)
		}
	case session.Clear:
		w.cutFields(m, false)
	case session.Unmark:
		w.cutFields(m, true)
	}
	if len(w.edits) > first+1 {
		slices.SortFunc(w.edits[first:], byStart)
	}
}

// cutFields removes all session fields of a message, or only sessionStart.
// Duplicates are removed too.
func (w *work) cutFields(m *message, onlyStart bool) {
	w.members = w.members[:0]
	for _, f := range w.payload.fields[m.fields:m.fieldsEnd] {
		if f.start || !onlyStart {
			w.members = append(w.members, f.member)
		}
	}
	w.edits = cut(w.edits, w.members)
}

// stamp sets sessionId and, if the decision says so, sessionStart. Of duplicates it
// sets the first.
func (w *work) stamp(m *message, d session.Decision) {
	if d.SessionID != w.id {
		w.id, w.idText = d.SessionID, strconv.AppendInt(w.idText[:0], d.SessionID, 10)
	}
	needID, needStart := true, d.Start
	cut := 0
	for _, f := range w.payload.fields[m.fields:m.fieldsEnd] {
		switch {
		case !f.first:
		case f.start && !d.Start:
			cut++
		case f.start && needStart:
			needStart = false
			w.set(f.value, "true")
		case !f.start && needID:
			needID = false
			w.set(f.value, string(w.idText))
		}
	}
	if needID || needStart {
		w.insert(m, needID, needStart, cut)
	}
}

// markControl has a control call say that it is one.
func (w *work) markControl(m *message, k session.Kind) {
	from := len(w.inserted)
	w.inserted = append(w.inserted, `"rudderSessionControl":"`...)
	w.inserted = append(append(w.inserted, causeOf(k, session.ByControl).String()...), `",`...)
	w.edits = append(w.edits, edit{span{m.start + 1, m.start + 1}, w.insertedFrom(from)})
}

// set replaces a value with this text, unless it is the same already.
func (w *work) set(value span, text string) {
	if string(value.of(w.payload.b)) == text {
		return
	}
	from := len(w.inserted)
	w.inserted = append(w.inserted, text...)
	w.edits = append(w.edits, edit{value, w.insertedFrom(from)})
}

func (w *work) insertedFrom(from int) span { return span{int32(from), int32(len(w.inserted))} }

// insert puts fields at the beginning of the message's context, and creates the
// context if there is none. cut is how many members are removed from it.
func (w *work) insert(m *message, id, start bool, cut int) {
	var at span
	var before, after string
	switch m.contextKind {
	case contextMissing:
		at, before, after = span{m.start + 1, m.start + 1}, `"context":{`, `},`
	case contextNull:
		at, before, after = m.context, `{`, `}`
	default:
		at = span{m.context.start + 1, m.context.start + 1}
		if w.payload.has(m.context, cut+1) {
			after = `,`
		}
	}
	from := len(w.inserted)
	text := append(w.inserted, before...)
	if id {
		text = append(append(text, `"sessionId":`...), w.idText...)
	}
	if id && start {
		text = append(text, ',')
	}
	if start {
		text = append(text, `"sessionStart":true`...)
	}
	w.inserted = append(text, after...)
	w.edits = append(w.edits, edit{at, w.insertedFrom(from)})
}
