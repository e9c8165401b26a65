package sessionstate

import "github.com/rudder-session/rudder-session/sessionstate/session"

// cacheEntry is the cached session of a key. Its text does not change once it is
// cached, so it may be read without the shard's lock.
type cacheEntry struct {
	// text is the key, then the session's stored form, in one allocation. The form
	// is empty if the key is known to have no session.
	text      []byte
	keyLength uint32
	// arrival is the value of [cacheShard.arrivals] when the key was added.
	arrival uint32
}

// formBuffer is large enough for the stored form of most sessions. [session.Append]
// allocates for a longer one, such as one with many links.
const formBuffer = 512

func newCacheEntry(key string, s *session.Session) cacheEntry {
	var buffer [formBuffer]byte
	form := buffer[:0]
	if s != absent {
		form = session.Append(form, s)
	}
	text := make([]byte, len(key)+len(form))
	copy(text[copy(text, key):], form)
	return cacheEntry{text: text, keyLength: uint32(len(key))}
}

func (e *cacheEntry) hasKey(key string) bool { return string(e.text[:e.keyLength]) == key }

func (e *cacheEntry) key() string { return string(e.text[:e.keyLength]) }

func (e *cacheEntry) form() []byte { return e.text[e.keyLength:] }

// version returns the session's version, 0 if the key is known to have none.
func (e *cacheEntry) version() session.Version {
	version, _ := session.VersionOf(e.form())
	return version
}
