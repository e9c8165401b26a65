package redisstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// ErrDown is what calls come to, at once, while the server is known not to
// answer.
var ErrDown = errors.New("redis does not answer; it is tried again until it does")

// Log is told when the server is found not to answer, and when it does again.
// Its functions may be nil.
type Log struct {
	Down func(error)
	Up   func()
}

// link is the connection to the servers. After a few calls in a row that got no
// answer no more are made, so that a dead server does not cost every request
// its deadline; meanwhile it is asked, again and again, whether it is back.
type link struct {
	connect func() (rueidis.Client, error)
	timeout time.Duration
	log     Log

	client   atomic.Pointer[rueidis.Client] // nil until it was connected once
	failures atomic.Int32                   // in a row
	down     atomic.Bool
	stop     chan struct{}
	probing  sync.WaitGroup
}

const (
	// tripAt is how many failures in a row say that the server is down.
	tripAt = 3
	// A server that is down is asked in growing intervals.
	firstProbe, lastProbe = 50 * time.Millisecond, time.Second
)

func newLink(connect func() (rueidis.Client, error), timeout time.Duration, log Log) *link {
	l := &link{connect: connect, timeout: timeout, log: log, stop: make(chan struct{})}
	if err := l.probe(); err != nil {
		l.trip(err)
	}
	return l
}

func (l *link) get() (rueidis.Client, error) {
	if l.down.Load() {
		return nil, ErrDown
	}
	return *l.client.Load(), nil
}

// try calls fn, and once more if its connection broke.
func (l *link) try(ctx context.Context, fn func(rueidis.Client) error) error {
	const tries = 2
	for n := 1; ; n++ {
		client, err := l.get()
		if err != nil {
			return err
		}
		err = fn(client)
		if _, answered := rueidis.IsRedisErr(err); err == nil || answered {
			l.failures.Store(0)
			return err
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return err // the client is gone, which says nothing of the server
		}
		if l.failures.Add(1) >= tripAt {
			l.trip(err)
		}
		if n == tries || ctx.Err() != nil {
			return err
		}
	}
}

// trip says that the server is down, until a probe finds it up.
func (l *link) trip(err error) {
	if l.down.Swap(true) {
		return
	}
	if l.log.Down != nil {
		l.log.Down(err)
	}
	l.probing.Go(func() {
		for pause := firstProbe; ; pause = min(pause*2, lastProbe) {
			timer := time.NewTimer(pause)
			select {
			case <-l.stop:
				timer.Stop()
				return
			case <-timer.C:
			}
			if l.probe() == nil {
				break
			}
		}
		l.failures.Store(0)
		l.down.Store(false)
		if l.log.Up != nil {
			l.log.Up()
		}
	})
}

// probe connects, if need be, and asks for a sign of life.
func (l *link) probe() error {
	if l.client.Load() == nil {
		client, err := l.connect()
		if err != nil {
			return err
		}
		l.client.Store(&client)
	}
	client := *l.client.Load()
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	return client.Do(ctx, client.B().Ping().Build()).Error()
}

func (l *link) close() {
	close(l.stop)
	// Nobody calls any more, so nothing trips again.
	l.probing.Wait()
	if client := l.client.Load(); client != nil {
		(*client).Close()
	}
}
