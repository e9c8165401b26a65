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
var ErrDown error = ownError("redis does not answer; it is tried again until it does")

// Log is told when a server is found not to answer, and when it does again. Its
// functions may be nil. No error that is told has a server's text in it.
type Log struct {
	Down func(error)
	Up   func()
	// Clock is told when this machine's clock differs from the servers' by more
	// than FarOff, ahead of it or, less than 0, behind, and when it does no more.
	Clock func(ahead time.Duration, far bool)
}

// link is the connection to the servers. After a few calls in a row that got no
// answer no more are made, so that a dead server does not cost every request
// its deadline; meanwhile it is asked, again and again, whether it is back.
type link struct {
	connect func() (rueidis.Client, error)
	timeout time.Duration
	log     Log

	client atomic.Pointer[rueidis.Client] // nil until it was connected once
	// breakers are for ranges of slots of a Cluster, so that a node that is down
	// keeps nobody from the others; elsewhere the first is for all keys.
	breakers [64]breaker
	cluster  atomic.Bool
	stop     chan struct{}
	probing  sync.WaitGroup
}

// breaker is open while the server is down.
type breaker struct {
	failures atomic.Int32 // calls in a row
	open     atomic.Bool
}

const (
	// tripAt is how many failures in a row say that the server is down.
	tripAt = 3
	// A server that is down is asked in growing intervals.
	firstProbe, lastProbe = 50 * time.Millisecond, time.Second
)

func newLink(connect func() (rueidis.Client, error), timeout time.Duration, log Log) *link {
	l := &link{connect: connect, timeout: timeout, log: log, stop: make(chan struct{})}
	if err := l.dial(); err != nil {
		l.trip(&l.breakers[0], "", err)
	}
	return l
}

// dial connects, unless that was done. Whether a server answers is another
// question from then on: the library connects again by itself.
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

// down is the share of the breakers that are open.
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

// try calls fn for a key, and again if its connection broke: the library may
// still give out one that just did. Its errors are plain.
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
			return plain(err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	// That the caller is gone says nothing of the server.
	if !errors.Is(ctx.Err(), context.Canceled) && b.failures.Add(1) >= tripAt {
		l.trip(b, key, err)
	}
	return plain(err)
}

// trip says that the server of a key is down, until a probe finds it up.
func (l *link) trip(b *breaker, key string, err error) {
	if b.open.Swap(true) {
		return
	}
	if l.log.Down != nil {
		l.log.Down(plain(err))
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

// probe asks the server of a key for a sign of life.
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
	// Nobody calls any more, so nothing trips again.
	l.probing.Wait()
	if client := l.client.Load(); client != nil {
		(*client).Close()
	}
}
