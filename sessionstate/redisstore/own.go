package redisstore

import "sync"

// ownChanges tells the messages about our own changes from those about others'.
// Redis sends one right behind the answer to each change that we made, as the
// script reads the key before it writes it. Should another's message be taken
// for it, which came in between, then the script has not found the version that
// it was to find, and has written nothing.
type ownChanges struct {
	mu       sync.Mutex
	expected map[string]int // messages to come, by key
}

// expect notes that a change is sent. If nothing comes of it, told undoes that.
func (o *ownChanges) expect(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.expected == nil {
		o.expected = map[string]int{}
	}
	o.expected[key]++
}

// told reports whether a message about a key is one that was expected, which it
// then is no more.
func (o *ownChanges) told(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.expected[key]
	switch {
	case n > 1:
		o.expected[key] = n - 1
	case n == 1:
		delete(o.expected, key)
	}
	return n > 0
}

// forget expects nothing any more: the connection was lost, and with it what was
// to come. A message that comes all the same does no harm.
func (o *ownChanges) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expected = nil
}
