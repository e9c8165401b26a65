package sessionstate

import "github.com/rudder-session/rudder-session/sessionstate/session"

// class is the priority of a change in the write-behind queue, the lowest first. When
// the queue fills up, changes of a lower class are refused before those of a higher
// one.
type class uint8

const (
	// newKeyEvent is a change by an event, of a key that the store does not have.
	newKeyEvent class = iota
	// knownKeyEvent is a change by an event, of a key that the store has.
	knownKeyEvent
	// controlRollback undoes a control call whose write failed.
	controlRollback

	classes // how many there are
)

// A change of a class is refused once its source holds sourceShare eighths of the
// queue, or all sources together hold totalShare eighths.
var (
	sourceShare = [classes]int{newKeyEvent: 3, knownKeyEvent: 4, controlRollback: 5}
	totalShare  = [classes]int{newKeyEvent: 6, knownKeyEvent: 7, controlRollback: 8}
)

// hasRoom reports whether the queue takes one more change of a source, given how many
// changes wait of that source and in total.
func hasRoom(c class, ofSource, total int) bool {
	eighth := maxDelayed / 8
	return ofSource < sourceShare[c]*eighth && total < totalShare[c]*eighth
}

func eventClass(old session.Version) class {
	if old == 0 {
		return newKeyEvent
	}
	return knownKeyEvent
}
