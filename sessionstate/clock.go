package sessionstate

// clocks are by how much the times in a request are to be moved, in
// milliseconds: those that its messages tell, and those that it gave them.
type clocks struct{ told, untold int64 }

// readClock holds the control calls of a request that were carried out before
// against when they happened then. A request that is sent again says other times
// than before: by what the way took, or by how long it waited, if it says still
// that it was sent at the first. What stood before a call in it, and behind, is
// to be there now too.
func (l *timeline) readClock(events []Event) (shift clocks) {
	for i := range events {
		e := &events[i]
		if !e.Kind.Control() {
			continue
		}
		j := l.causedBy(e.Message)
		if j < 0 {
			continue
		}
		then := l.segments[j].From
		if l.segments[j].Cause != e.Message {
			then = l.segments[j].Last // the second endSession
		}
		by := &shift.told
		if e.Untold {
			by = &shift.untold
		}
		if *by == 0 {
			*by = then - e.Time
		}
	}
	return shift
}

func (s *clocks) of(e *Event) int64 {
	if e.Untold {
		return s.untold
	}
	return s.told
}
