package replay

import (
	"encoding/binary"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// state is all that a trial knows about a session key.
type state struct {
	// encoded is the session as stores have it; nil if there is none.
	encoded []byte
	user    user
}

// states are the states of one trial: the most recently used ones in memory, the others
// in a file. Each lane (see [sessionstate.Lane]) has its own memory and its own lock.
type states struct {
	file   *spillFile
	prefix byte // of the keys in the file
	lanes  [sessionstate.Lanes]stateLane
}

type stateLane struct {
	mu     sync.Mutex
	recent *simplelru.LRU[string, *state]
	size   int
	// lastKey and last are the key and the state of the last look-up: the same key is
	// looked up several times in a row.
	lastKey string
	last    *state
}

// newStates makes states of which about size are in memory.
func newStates(file *spillFile, prefix byte, size int) *states {
	s := &states{file: file, prefix: prefix}
	for i := range s.lanes {
		l := &s.lanes[i]
		l.size = max(size/len(s.lanes), 1)
		l.recent, _ = simplelru.NewLRU[string, *state](l.size, nil) // the error is of a size below 1
	}
	return s
}

// with calls fn with the state of a key, which fn may change. If there is none, it
// makes one if create is set, and otherwise does not call fn.
func (s *states) with(key string, create bool, fn func(*state)) {
	l := &s.lanes[sessionstate.Lane(key)]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || l.lastKey != key {
		found := s.find(l, key)
		if found == nil {
			if !create {
				return
			}
			found = new(state)
			s.add(l, key, found)
		}
		l.lastKey, l.last = strings.Clone(key), found
	}
	fn(l.last)
}

// find returns the state of a key, or nil.
func (s *states) find(l *stateLane, key string) *state {
	if found, ok := l.recent.Get(key); ok {
		return found
	}
	stored := s.file.get(string(s.prefix) + key)
	if stored == nil {
		return nil
	}
	found := decodeState(stored)
	s.add(l, key, found)
	return found
}

func (s *states) add(l *stateLane, key string, added *state) {
	for l.recent.Len() >= l.size {
		oldest, spilled, _ := l.recent.RemoveOldest()
		s.file.put(string(s.prefix)+oldest, encodeState(spilled))
	}
	l.recent.Add(strings.Clone(key), added)
}

// each calls fn with every state. No other method may be called at the same time.
func (s *states) each(fn func(key string, of *state)) {
	for i := range s.lanes {
		l := &s.lanes[i]
		for _, key := range l.recent.Keys() {
			of, _ := l.recent.Peek(key)
			fn(key, of)
		}
	}
	s.file.each(s.prefix, func(key string, stored []byte) {
		if !s.lanes[sessionstate.Lane(key)].recent.Contains(key) {
			fn(key, decodeState(stored))
		}
	})
}

// len returns how many states are in memory.
func (s *states) len() (n int) {
	for i := range s.lanes {
		n += s.lanes[i].recent.Len()
	}
	return n
}

// encodeState and decodeState write and read the form of a state in the file.
func encodeState(s *state) []byte {
	b := make([]byte, 0, 24+len(s.encoded)+(len(s.user.before)+len(s.user.after))*40)
	b = binary.AppendUvarint(b, uint64(len(s.encoded)))
	b = append(b, s.encoded...)
	return appendUser(b, &s.user)
}

func decodeState(b []byte) *state {
	s := new(state)
	n, size := binary.Uvarint(b)
	if n > 0 {
		s.encoded = b[size : size+int(n) : size+int(n)]
	}
	readUser(b[size+int(n):], &s.user)
	return s
}
