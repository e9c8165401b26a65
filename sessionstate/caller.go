package sessionstate

import (
	"context"
	"sync"
	"time"
)

// Caller identifies who calls a [Table], and collects the writes that the caller has
// to wait for. A context carries it: see [Caller.In].
type Caller struct {
	// Source is charged for entries in a store's queues; it is a write key, for
	// example. No source can fill a queue.
	Source string

	mu      sync.Mutex
	written []<-chan struct{}
	maxWait time.Duration // Options.Deadline
}

type callerKey struct{}

// In returns a context that carries c.
func (c *Caller) In(ctx context.Context) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// SourceOf returns the source of the Caller in a context, "" if there is none.
func SourceOf(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c.Source
	}
	return ""
}

// Wait returns when all changes made with c are in the store or have failed, or after
// the table's deadline. It waits once for all keys, not once for each, because they
// are written together.
func (c *Caller) Wait(ctx context.Context) {
	c.mu.Lock()
	written, maxWait := c.written, c.maxWait
	c.written = nil
	c.mu.Unlock()
	if len(written) == 0 {
		return
	}
	if maxWait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxWait)
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

// awaitWrite waits until a change is written. If the context carries a Caller, it
// leaves the waiting to Caller.Wait.
func (t *Table) awaitWrite(ctx context.Context, written <-chan struct{}) {
	if written == nil {
		return
	}
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		c.mu.Lock()
		c.written, c.maxWait = append(c.written, written), t.deadline
		c.mu.Unlock()
		return
	}
	select {
	case <-written:
	case <-ctx.Done():
	}
}
