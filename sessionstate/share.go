package sessionstate

import "github.com/rudder-session/rudder-session/sessionstate/session"

// class is what kind of change waits to be written. A kind further down finds
// room where one before it finds none any more.
type class uint8

const (
	// ofNewKey: an event of a key that the store does not have.
	ofNewKey class = iota
	// ofKnownKey: an event of a key that it has.
	ofKnownKey
	// ofControl: a control call that failed, and is to be undone.
	ofControl

	classes
)

// Of the room for changes that wait, a source and all of them together may take
// so many eighths with changes of a class and of those before it.
var (
	sourceShare = [classes]int{ofNewKey: 3, ofKnownKey: 4, ofControl: 5}
	totalShare  = [classes]int{ofNewKey: 6, ofKnownKey: 7, ofControl: 8}
)

// hasRoom reports whether one more change of a source fits, where so many wait:
// of the source, and in all.
func hasRoom(c class, ofSource, total int) bool {
	const eighth = maxDelayed / 8
	return ofSource < sourceShare[c]*eighth && total < totalShare[c]*eighth
}

func classOf(old session.Version) class {
	if old == 0 {
		return ofNewKey
	}
	return ofKnownKey
}
