package replay

// lineFigures counts the lines of the input by their form.
type lineFigures struct {
	lines, blank, events, batches, requests int64
	notJSON, notEvent, tooLong              oddLines
	// first and last are the earliest and the latest receivedAt, in Unix milliseconds;
	// 0 for none.
	first, last int64
}

// oddLines are lines without events, which are passed on unread.
type oddLines struct {
	n     int64
	first []place
}

// shownOdd is how many line numbers of such lines the report shows.
const shownOdd = 5

func (o *oddLines) note(at place) {
	if o.n++; len(o.first) < shownOdd {
		o.first = append(o.first, at)
	}
}

// count counts the lines of a block. Blocks come in order.
func (f *lineFigures) count(b *block) {
	if b.first {
		f.lines++
		f.tooLong.note(place{b.file, b.firstLine})
	}
	for i := range b.lines {
		l, at := &b.lines[i], place{b.file, b.firstLine + i}
		f.lines++
		switch l.form {
		case blank:
			f.blank++
			continue
		case notJSON:
			f.notJSON.note(at)
			continue
		case notEvent:
			f.notEvent.note(at)
			continue
		case event:
			f.events++
		case batch:
			f.batches++
		case request:
			f.requests++
		}
		if f.first == 0 || l.received < f.first {
			f.first = l.received
		}
		f.last = max(f.last, l.received)
	}
}
