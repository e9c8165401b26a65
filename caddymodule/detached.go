package caddymodule

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// defaultFinishTimeout is as long as the SDK that waits longest for an answer
// waits for it: iOS.
const defaultFinishTimeout = 60 * time.Second

// detached is the context of a request whose body has been read. The server
// cancels a request's context when its client goes, which a client may do as
// soon as it has sent everything. What is decided about the body must not
// depend on it, so that cancellation arrives here only a while later.
//
// Its values are those of the client's context: Caddy keeps the replacer, the
// variables and the server there.
type detached struct {
	// own is cancelled in the client's stead. It is one of the standard
	// library's, so that contexts made from it take no goroutine each.
	own    context.Context
	cancel context.CancelFunc
	client context.Context
	// keep stops the delayed cancellation.
	keep func() bool
	// finished: the request has been answered, and whoever still uses its
	// context has it cancelled as if there had been no delay.
	finished atomic.Bool
	follow   sync.Once
}

// detach gives the request a context that is cancelled no earlier than after
// its client has been gone for the given time. The request is changed in place:
// others, such as the replacer, hold on to it.
func detach(r *http.Request, after time.Duration) *detached {
	own, cancel := context.WithCancel(context.Background())
	d := &detached{own: own, cancel: cancel, client: r.Context()}
	// What is left of a request that ended in an error, for this long, is the
	// timer, without the request.
	d.keep = context.AfterFunc(d.client, func() { time.AfterFunc(after, cancel) })
	*r = *r.WithContext(d)
	return d
}

// finish ends the delay. It must not be called where Caddy is still to handle
// an error of the request.
func (d *detached) finish() {
	d.finished.Store(true)
	if !d.keep() {
		d.cancel() // the client is gone
	}
}

func (d *detached) catchUp() {
	if d.finished.Load() {
		d.follow.Do(func() { context.AfterFunc(d.client, d.cancel) })
	}
}

// Deadline returns none: see [context.Context].
func (*detached) Deadline() (deadline time.Time, ok bool) { return deadline, false }

// Done is closed when the request is to be given up: see [context.Context].
func (d *detached) Done() <-chan struct{} {
	d.catchUp()
	return d.own.Done()
}

// Err returns why Done is closed: see [context.Context].
func (d *detached) Err() error {
	d.catchUp()
	return d.own.Err()
}

// Value returns the client's value, but for what the standard library asks
// contexts for to find the one to be cancelled with.
func (d *detached) Value(key any) any {
	if v := d.own.Value(key); v != nil {
		return v
	}
	return d.client.Value(key)
}
