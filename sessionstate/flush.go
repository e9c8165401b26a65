package sessionstate

import (
	"context"
	"math"
	"slices"
	"time"
)

// flush writes all changes that are due by now, and reports whether more are pending.
func (b *writeBehind) flush(now time.Time) (more bool, err error) {
	wrote := false
	for keys := b.due(now); len(keys) > 0; {
		chunk := keys[:min(len(keys), b.chunk)]
		keys = keys[len(chunk):]
		if e := b.write(chunk); e != nil {
			err = e
		}
		wrote = true
		if err == nil {
			_, _ = b.writeUrgent() // callers wait for these
		}
	}
	return b.endOfFlush(wrote, err), err
}

// flushUrgent writes the urgent changes. Those that fail are retried like other
// changes.
func (b *writeBehind) flushUrgent() {
	n, err := b.writeUrgent()
	b.endOfFlush(n > 0, err)
}

// endOfFlush records the result of a flush, unless there was nothing to write, and
// reports whether more changes are pending.
func (b *writeBehind) endOfFlush(wrote bool, err error) (more bool) {
	if wrote && b.report != nil {
		b.report(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if wrote {
		b.failing = err != nil
	}
	if b.failing {
		// Urgent changes are retried like other changes, and nobody waits for them.
		for _, key := range b.urgent.next(math.MaxInt) {
			if e := b.entries[key]; e != nil {
				e.urgent = false
				e.release()
			}
		}
	}
	return len(b.entries) > 0
}

func (b *writeBehind) writeUrgent() (n int, err error) {
	for err == nil {
		b.mu.Lock()
		keys := b.urgent.next(b.chunk)
		b.mu.Unlock()
		if len(keys) == 0 {
			return n, nil
		}
		n += len(keys)
		slices.Sort(keys)
		err = b.write(keys)
	}
	return n, err
}

// write writes the pending changes of some keys, and returns the last error.
func (b *writeBehind) write(keys []string) (err error) {
	changes, inFlight := b.beginFlush(keys)
	defer close(inFlight)
	if len(changes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeDeadline)
	defer cancel()
	start := time.Now()
	b.store.CompareAndSwap(ctx, changes)
	switch took := time.Since(start); {
	case took > slowWrite && len(changes) > minChunk:
		b.chunk = max(min(b.chunk, len(changes))/2, minChunk)
	case took < quickWrite:
		b.chunk = min(b.chunk*2, writeChunk)
	}
	for i := range changes {
		if e := b.endFlush(ctx, &changes[i]); e != nil {
			err = e
		}
	}
	return err
}

// due returns the keys that are to be written, sorted, so that a B+tree store
// touches neighbouring pages together.
func (b *writeBehind) due(now time.Time) (keys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, e := range b.entries {
		if !e.due.After(now) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// beginFlush marks pending changes as in flight, except those of pinned keys. The
// caller closes inFlight after it has called endFlush for each.
func (b *writeBehind) beginFlush(keys []string) (changes []Swap, inFlight chan struct{}) {
	inFlight = make(chan struct{})
	changes = make([]Swap, 0, len(keys))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		e := b.entries[key]
		if e != nil {
			e.urgent = false
		}
		if e != nil && !e.pinned {
			e.inFlight = inFlight
			e.flushed, e.written = e.written, nil
			e.due = never // until put sets a new time or the write fails
			changes = append(changes, Swap{Key: key, Old: e.old, Next: e.next})
		}
	}
	return changes, inFlight
}

// endFlush records the result of a change that was in flight.
func (b *writeBehind) endFlush(ctx context.Context, c *Swap) error {
	old, err := c.Next.Version, c.Err
	conflict := !c.Done && err == nil
	if conflict && !b.shared {
		old, err = b.storedVersion(ctx, c.Key)
		if err == nil && old == c.Next.Version {
			c.Done = true
		}
	}
	b.mu.Lock()
	e := b.entries[c.Key]
	e.inFlight = nil
	if e.flushed != nil {
		close(e.flushed)
		e.flushed = nil
	}
	if err == nil {
		e.old = old
	}
	if !c.Done {
		e.due = time.Now()
	}
	if c.Done && e.next == c.Next || conflict && b.shared {
		b.remove(c.Key, e)
	}
	b.mu.Unlock()
	if conflict && b.shared {
		b.invalidate(c.Key)
	}
	return err
}
