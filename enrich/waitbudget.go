package enrich

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/sessionstate"
)

// maxConcurrentKeys bounds for how many keys of one request the store is waited
// for at the same time.
const maxConcurrentKeys = 16

// maxStoreWait bounds how long one request waits for the store, however many
// users it has. Sessions that are not known by then are treated as if the store
// had failed.
const maxStoreWait = 5 * time.Second

// waitBudget is the time for which a request may wait for the store, in all. It
// starts to run when begin is called first.
type waitBudget struct {
	parent, ctx context.Context
	cancel      context.CancelFunc
	caller      sessionstate.Caller
}

func (b *waitBudget) begin() context.Context {
	if b.ctx == nil {
		b.ctx, b.cancel = context.WithTimeout(b.caller.In(b.parent), maxStoreWait)
	}
	return b.ctx
}

func (b *waitBudget) end() {
	if b.cancel != nil {
		b.cancel()
	}
}

// forEach calls fn for 0 to n-1, concurrently; waiting is how many of these
// calls are expected to wait.
func (b *waitBudget) forEach(n, waiting int, fn func(ctx context.Context, i int)) {
	ctx := b.begin()
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			fn(ctx, i)
		}
	}
	var others sync.WaitGroup
	for range min(waiting, maxConcurrentKeys) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}
