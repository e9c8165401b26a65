package caddymodule

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// defaultFinishTimeout is how long the most patient SDK (iOS) waits
// for an answer.
const defaultFinishTimeout = 60 * time.Second

// detached is the context of a request whose body has been read. The server cancels a
// request's context when the client goes, and a client may go as soon as it has sent
// everything. What happens to the body must not depend on that, so this context is
// cancelled only some time later.
//
// Its values are those of the client's context, where Caddy keeps the replacer, the
// variables and the server.
type detached struct {
	// own is cancelled instead of the client's context. It is a context of the
	// standard library, so that contexts derived from it need no goroutines.
	own    context.Context
	cancel context.CancelFunc
	client context.Context
	// keep stops the delayed cancellation.
	keep func() bool
	// finished: the request has been answered. From then on the context is cancelled
	// with the client's, without delay.
	finished atomic.Bool
	follow   sync.Once
}

// detach gives the request a context that is cancelled when the client has been gone
// for the given time. It changes the request in place, because others, such as the
// replacer, have a pointer to it.
func detach(r *http.Request, after time.Duration) *detached {
	own, cancel := context.WithCancel(context.Background())
	d := &detached{own: own, cancel: cancel, client: r.Context()}
	// After a request that ended in an error, only the timer stays in memory for
	// this long, not the request.
	d.keep = context.AfterFunc(d.client, func() { time.AfterFunc(after, cancel) })
	*r = *r.WithContext(d)
	return d
}

// finish ends the delay. It must not be called if Caddy is still going to handle an
// error of the request.
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

// Done is closed when the request must stop: see [context.Context].
func (d *detached) Done() <-chan struct{} {
	d.catchUp()
	return d.own.Done()
}

// Err returns why Done is closed: see [context.Context].
func (d *detached) Err() error {
	d.catchUp()
	return d.own.Err()
}

// Value returns the client's value, except for the key with which the standard library
// finds the context that cancels: own answers that.
func (d *detached) Value(key any) any {
	if v := d.own.Value(key); v != nil {
		return v
	}
	return d.client.Value(key)
}
