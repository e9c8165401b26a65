package sessionstate

import (
	"context"
	"sync"
	"time"
)

// Caller says on whose behalf a [Table] is asked, and collects what there is to
// wait for. A context carries it: see [Caller.In].
type Caller struct {
	// Source is whose share of a store's queues is used, such as a write key. No
	// source can take all of them.
	Source string

	mu      sync.Mutex
	written []<-chan struct{}
	longest time.Duration // as Options.Deadline says
}

type callerKey struct{}

// In returns a context that carries c.
func (c *Caller) In(ctx context.Context) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// SourceOf returns the source on whose behalf a store is asked, "" for none.
func SourceOf(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c.Source
	}
	return ""
}

// Wait returns when all changes that were made with c are in the store, or the
// store has failed to take them, or the table's deadline is over. With several keys it waits
// once, not for each: they share the writes.
func (c *Caller) Wait(ctx context.Context) {
	c.mu.Lock()
	written, longest := c.written, c.longest
	c.written = nil
	c.mu.Unlock()
	if len(written) == 0 {
		return
	}
	if longest > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, longest)
		defer cancel()
	}
	for _, ch := range written {
		select {
		case <-ch:
		case <-ctx.Done():
			return
		}
	}
}

// awaitWrite waits until a change is written, or leaves that to the caller.
func (t *Table) awaitWrite(ctx context.Context, written <-chan struct{}) {
	if written == nil {
		return
	}
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		c.mu.Lock()
		c.written, c.longest = append(c.written, written), t.deadline
		c.mu.Unlock()
		return
	}
	select {
	case <-written:
	case <-ctx.Done():
	}
}
