package sessionstate

import (
	"context"
	"math"
	"slices"
	"time"
)

// flush writes all changes that are due by now, and reports whether more wait.
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
			b.writeUrgent() // they are waited for
		}
	}
	return b.wrote(wrote, err), err
}

// flushUrgent writes the urgent changes. Those that fail are tried again as other
// changes are.
func (b *writeBehind) flushUrgent() {
	n, err := b.writeUrgent()
	b.wrote(n > 0, err)
}

// wrote records the result of a flush, and reports whether more changes wait.
func (b *writeBehind) wrote(any bool, err error) (more bool) {
	if any && b.report != nil {
		b.report(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if any {
		b.failing = err != nil
	}
	if b.failing {
		// They are tried again as other changes are.
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

// write writes the changes of some keys, and returns the last error.
func (b *writeBehind) write(keys []string) (err error) {
	changes, inFlight := b.beginFlush(keys)
	defer close(inFlight)
	if len(changes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeDeadline)
	defer cancel()
	begun := time.Now()
	b.store.CompareAndSwap(ctx, changes)
	switch took := time.Since(begun); {
	case took > slowWrite && len(changes) > leastChunk:
		b.chunk = max(min(b.chunk, len(changes))/2, leastChunk)
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
// caller closes inFlight when endFlush was called for each.
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
			e.due = never // put says when what comes after it is due
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
		old, err = b.stored(ctx, c.Key)
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
