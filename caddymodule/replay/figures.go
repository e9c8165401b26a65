package replay

import (
	"github.com/cespare/xxhash/v2"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// figures are what is counted for one policy: only sums and smallest line numbers, so
// that lines can be counted in any order, and by several workers whose figures are
// added up.
type figures struct {
	outcome enrich.Outcome
	reasons map[reasonKey]*reasonFigure
	// changed events have another session than they came with, gained ones came
	// without a session, lost ones have none any more.
	changed, gained, lost int64
	// marksAdded and marksRemoved count events that get a start mark, and that lose
	// theirs.
	marksAdded, marksRemoved int64
	// users are session keys with events.
	users         int64
	before, after sessionFigures
	// failedControls are control requests that are refused: invalid ones, and those
	// beyond max_session_starts.
	failedControls int64
	// passed are requests that the handler does not read.
	passed int64
}

// reasonKey is the action on a message, and its reason.
type reasonKey struct{ action, reason string }

type reasonFigure struct {
	n       int64
	example place
	ids     *ids
}

// ids are those of an example.
type ids struct{ anonymousID, userID, messageID string }

// place is a line of the input. The zero value is no line.
type place struct{ file, line int }

func (p place) before(other place) bool {
	return other.line == 0 || p.line != 0 && (p.file < other.file || p.file == other.file && p.line < other.line)
}

// sessionFigures are about the sessions on one side: as the events came, or as the
// policy leaves them.
type sessionFigures struct {
	sessions int64
	// unmarked sessions have no event with a start mark, severalMarks more than one.
	unmarked, severalMarks int64
	// divided sessions have events that are in several sessions on the other side.
	divided int64
	events  int64
	// length is the sum of all lengths, in milliseconds.
	length            int64
	byLength, byCount []int64
}

func newSessionFigures() sessionFigures {
	return sessionFigures{byLength: make([]int64, len(lengths)), byCount: make([]int64, len(counts))}
}

func newFigures() *figures {
	return &figures{reasons: map[reasonKey]*reasonFigure{}, before: newSessionFigures(), after: newSessionFigures()}
}

// session counts a session that is over.
func (f *sessionFigures) session(t *tally) {
	f.sessions++
	if t.marked == 0 {
		f.unmarked++
	}
	if t.several {
		f.severalMarks++
	}
	if t.divided {
		f.divided++
	}
	f.events += t.events
	f.length += t.last - t.first
	f.byLength[classOf(lengths, t.last-t.first)]++
	f.byCount[classOf(counts, t.events)]++
}

func (f *sessionFigures) add(more *sessionFigures) {
	f.sessions += more.sessions
	f.unmarked += more.unmarked
	f.severalMarks += more.severalMarks
	f.divided += more.divided
	f.events += more.events
	f.length += more.length
	addEach(f.byLength, more.byLength)
	addEach(f.byCount, more.byCount)
}

func addEach(to, more []int64) {
	for i, n := range more {
		to[i] += n
	}
}

func (f *figures) add(more *figures) {
	f.outcome.Add(&more.outcome)
	for key, r := range more.reasons {
		mine := f.reason(key)
		mine.n += r.n
		mine.note(r.example, r.ids)
	}
	f.changed += more.changed
	f.gained += more.gained
	f.lost += more.lost
	f.marksAdded += more.marksAdded
	f.marksRemoved += more.marksRemoved
	f.users += more.users
	f.failedControls += more.failedControls
	f.passed += more.passed
	f.before.add(&more.before)
	f.after.add(&more.after)
}

func (f *figures) reason(key reasonKey) *reasonFigure {
	r := f.reasons[key]
	if r == nil {
		r = new(reasonFigure)
		f.reasons[key] = r
	}
	return r
}

func (r *reasonFigure) note(at place, of *ids) {
	if at.before(r.example) {
		r.example, r.ids = at, of
	}
}

// sides are the session ids of an event: the one that it came with, and the one that
// it goes on with; 0 for none.
type sides struct {
	before, after             int64
	markedBefore, markedAfter bool
}

func sidesOf(v *enrich.Verdict) sides {
	var s sides
	s.before, _ = enrich.ParseSessionID([]byte(v.Own))
	s.markedBefore = v.OwnStart == "true"
	s.after, s.markedAfter = s.before, s.markedBefore
	if v.Skip == enrich.NotSkipped {
		switch v.Decision.Action {
		case session.Stamp:
			s.after, s.markedAfter = v.Decision.SessionID, v.Decision.Start
		case session.Clear:
			s.after, s.markedAfter = 0, false
		case session.Unmark:
			s.markedAfter = false
		}
	}
	return s
}

// event counts an event, and returns its session on both sides.
func (f *figures) event(v *enrich.Verdict) sides {
	s := sidesOf(v)
	switch {
	case s.before == s.after:
	case s.before == 0:
		f.gained++
	case s.after == 0:
		f.lost++
	default:
		f.changed++
	}
	if s.markedAfter && !s.markedBefore {
		f.marksAdded++
	}
	if s.markedBefore && !s.markedAfter {
		f.marksRemoved++
	}
	return s
}

// messageHash identifies a message, so that a retry does not count as another start.
func messageHash(v *enrich.Verdict) uint64 {
	if v.MessageID == "" {
		return xxhash.Sum64String(v.OriginalTimestamp+v.SentAt) | 1
	}
	return xxhash.Sum64String(v.MessageID) | 1
}
