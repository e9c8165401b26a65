package redisstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// ErrDown is returned at once while the server is known not to answer.
var ErrDown error = ownError("redis does not answer; it is tried again until it does")

// Log has functions that are called when a server stops answering, and when it answers
// again. They may be nil. The errors contain no text from a server.
type Log struct {
	Down func(error)
	Up   func()
	// Clock is called with far true when this machine's clock differs from the
	// servers' by more than FarOff, and with false when it no longer does. ahead is
	// negative if this machine's clock is behind.
	Clock func(ahead time.Duration, far bool)
}

// link is the connection to the servers, with circuit breakers. After a few calls in a
// row without an answer it fails all calls at once, so that a dead server does not cost
// every request its deadline. Meanwhile it probes the server until it is back.
type link struct {
	connect func() (rueidis.Client, error)
	timeout time.Duration
	log     Log

	client atomic.Pointer[rueidis.Client] // nil until the first connection
	// In a Cluster each breaker is for a range of slots, so that a node that is down
	// does not affect the others. Otherwise the first one is for all keys.
	breakers   [64]breaker
	cluster    atomic.Bool
	stop       chan struct{}
	background sync.WaitGroup
}

// breaker is open while the server is down.
type breaker struct {
	failures atomic.Int32 // consecutive
	open     atomic.Bool
}

const (
	// tripAt is how many consecutive failures mean that the server is down.
	tripAt = 3
	// A server that is down is probed at growing intervals.
	minProbeInterval, maxProbeInterval = 50 * time.Millisecond, time.Second
)

func newLink(connect func() (rueidis.Client, error), timeout time.Duration, log Log) *link {
	l := &link{connect: connect, timeout: timeout, log: log, stop: make(chan struct{})}
	if err := l.dial(); err != nil {
		l.trip(&l.breakers[0], "", err)
	}
	return l
}

// dial makes the first connection. Later the library reconnects by itself, so that a
// connected client does not mean that a server answers.
func (l *link) dial() error {
	if l.client.Load() != nil {
		return nil
	}
	client, err := l.connect()
	if err != nil {
		return err
	}
	l.cluster.Store(client.Mode() == rueidis.ClientModeCluster)
	l.client.Store(&client)
	return nil
}

func (l *link) breaker(key string) *breaker {
	if !l.cluster.Load() {
		return &l.breakers[0]
	}
	return &l.breakers[slot(key)*len(l.breakers)/slots]
}

// down returns the share of the breakers that are open.
func (l *link) down() float64 {
	if !l.cluster.Load() {
		if l.breakers[0].open.Load() {
			return 1
		}
		return 0
	}
	open := 0
	for i := range l.breakers {
		if l.breakers[i].open.Load() {
			open++
		}
	}
	return float64(open) / float64(len(l.breakers))
}

// try calls fn for a key, and retries if the connection broke, because the library may
// still use a connection that has just broken. Its errors are sanitized.
func (l *link) try(ctx context.Context, key string, fn func(rueidis.Client) error) (err error) {
	const tries = 3
	b := l.breaker(key)
	for range tries {
		client := l.client.Load()
		if b.open.Load() || client == nil {
			return ErrDown
		}
		err = fn(*client)
		if _, answered := rueidis.IsRedisErr(err); err == nil || answered {
			b.failures.Store(0)
			return sanitized(err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	// If the caller has given up, that says nothing about the server.
	if !errors.Is(ctx.Err(), context.Canceled) && b.failures.Add(1) >= tripAt {
		l.trip(b, key, err)
	}
	return sanitized(err)
}

// trip opens the breaker of a key until a probe succeeds.
func (l *link) trip(b *breaker, key string, err error) {
	if b.open.Swap(true) {
		return
	}
	if l.log.Down != nil {
		l.log.Down(sanitized(err))
	}
	l.background.Go(func() {
		for pause := minProbeInterval; ; pause = min(pause*2, maxProbeInterval) {
			timer := time.NewTimer(pause)
			select {
			case <-l.stop:
				timer.Stop()
				return
			case <-timer.C:
			}
			if l.probe(key) == nil {
				break
			}
		}
		b.failures.Store(0)
		b.open.Store(false)
		if l.log.Up != nil {
			l.log.Up()
		}
	})
}

// probe checks whether the server of a key answers.
func (l *link) probe(key string) error {
	if err := l.dial(); err != nil {
		return err
	}
	client := *l.client.Load()
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	if key == "" {
		return client.Do(ctx, client.B().Ping().Build()).Error()
	}
	err := client.Do(ctx, client.B().Get().Key(key).Build()).Error()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return err
}

func (l *link) close() {
	close(l.stop)
	// There are no more calls, so no breaker trips again.
	l.background.Wait()
	if client := l.client.Load(); client != nil {
		(*client).Close()
	}
}
