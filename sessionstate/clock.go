package sessionstate

// Clocks are by how much the times in a request are to be moved, in
// milliseconds: those that its messages tell, and those that it gave them.
type Clocks struct{ told, untold int64 }

// Set notes that an event's time is to be moved by so much. Of several events with
// such a time the first counts.
func (c *Clocks) Set(e *Event, by int64) {
	if *c.which(e) == 0 {
		*c.which(e) = by
	}
}

// Of returns by how much an event's time is to be moved.
func (c *Clocks) Of(e *Event) int64 { return *c.which(e) }

func (c *Clocks) which(e *Event) *int64 {
	if e.Untold {
		return &c.untold
	}
	return &c.told
}

// readClock holds the control calls of a request that were carried out before
// against when they happened then. A request that is sent again says other times
// than before: by what the way took, or by how long it waited, if it says still
// that it was sent at the first. What stood before a call in it, and behind, is
// to be there now too.
func (l *timeline) readClock(events []Event) (shift Clocks) {
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
		shift.Set(e, then-e.Time)
	}
	return shift
}
