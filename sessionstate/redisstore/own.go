package redisstore

import "sync"

// ownChanges distinguishes invalidations caused by this process from those caused by
// others. Redis sends one right after the reply to each change that we make, because
// the script reads the key before it writes it. If an invalidation of another process
// comes in between and is mistaken for ours, then our script has found another version,
// and has written nothing.
type ownChanges struct {
	mu       sync.Mutex
	expected map[string]int // the number of invalidations to come, by key
}

// expect adds an expected invalidation, before a change is sent. If the change is not
// made, received takes it back.
func (o *ownChanges) expect(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.expected == nil {
		o.expected = map[string]int{}
	}
	o.expected[key]++
}

// received reports whether an invalidation of a key was expected, and removes it from the
// expected ones.
func (o *ownChanges) received(key string) bool {
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

// forget removes all expected invalidations, because the connection was lost, and they
// with it. One that comes nevertheless does no harm.
func (o *ownChanges) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expected = nil
}
