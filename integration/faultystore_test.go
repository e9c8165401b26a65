package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func init() {
	caddy.RegisterModule((*faultyModule)(nil))
}

// faultyModule is a store that fails as a test wants it to:
//
//	store test_faulty NAME [shared]
//
// A shared one is written to at every change. Otherwise only this process uses it, and
// changes by events are written a little later.
type faultyModule struct{ Name, Shared string }

func (*faultyModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "rudder_session.stores.test_faulty", New: func() caddy.Module { return new(faultyModule) }}
}

func (m *faultyModule) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&m.Name) {
		return d.ArgErr()
	}
	d.Args(&m.Shared)
	return nil
}

func (m *faultyModule) Identity() string { return "faulty " + m.Name }

func (m *faultyModule) faults() *faults {
	f, _ := faulties.Load(m.Name)
	return f.(*faults)
}

func (m *faultyModule) Open(*zap.Logger) (sessionstate.Store, error) {
	return m.faults().open(m.Shared != "")
}

func (m *faultyModule) DelayWrites() time.Duration { return m.faults().interval }

var (
	_ caddymodule.WritesBehind = (*faultyModule)(nil)
	_ caddyfile.Unmarshaler    = (*faultyModule)(nil)
	_ sessionstate.Shared      = sharedFaulty{}
	_ sessionstate.Clocked     = sharedFaulty{}
)

// faulties has the faults of each test, by name.
var faulties sync.Map

var faultiesMade atomic.Int32

var errFaulty = errors.New("connect: connection refused")

// faults decides how a test's stores fail, and counts their calls.
type faults struct {
	t    *testing.T
	name string
	// reads, writes and opens: these calls fail. losses: this many writes conflict,
	// although nobody else writes. failures: this many writes fail. unanswered: this
	// many are carried out, and fail all the same. stalls: calls hang until their
	// deadline.
	reads, writes, opens, stalls atomic.Bool
	losses, failures, unanswered atomic.Int32
	// only bounds failures to keys that contain it.
	only           atomic.Pointer[string]
	opened, closed atomic.Int32
	// interval is the flush interval of a store that is not shared. It is set before
	// use.
	interval time.Duration
	// memory is the disk of these stores: they all read and write it.
	memory *memorystore.Store

	mu    sync.Mutex
	wrote sync.Cond
	// written counts the changes that were carried out, and those that conflicted.
	written int
}

// write counts a write.
func (f *faults) write() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written++
	f.wrote.Broadcast()
}

// writesDone returns the number of writes so far.
func (f *faults) writesDone() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.written
}

// waitWritten waits until there were n writes.
func (f *faults) waitWritten(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.written < n {
		f.wrote.Wait()
	}
}

func newFaults(t *testing.T) *faults {
	f := &faults{
		t: t, name: fmt.Sprint(t.Name(), faultiesMade.Add(1)),
		interval: time.Millisecond, memory: memorystore.New(),
	}
	f.wrote.L = &f.mu
	f.memory.Resize(1000)
	faulties.Store(f.name, f)
	t.Cleanup(func() {
		if opened, closed := f.opened.Load(), f.closed.Load(); opened != closed {
			t.Errorf("%d stores were opened, %d closed", opened, closed)
		}
		faulties.Delete(f.name)
	})
	return f
}

// option is the line of the global option that uses a shared store with these faults.
func (f *faults) option() string { return "store test_faulty `" + f.name + "` shared" }

// own is the line for a store that only this process changes.
func (f *faults) own() string { return "store test_faulty `" + f.name + "`" }

// eachKind runs a test with a store that only this process changes, and with a shared
// one. with makes a configuration that uses it.
func eachKind(t *testing.T, test func(t *testing.T, f *faults, kind string, with func(session string) proxytest.Setup)) {
	for kind, option := range map[string]func(*faults) string{"own": (*faults).own, "shared": (*faults).option} {
		t.Run(kind, func(t *testing.T) {
			f := newFaults(t)
			test(t, f, kind, func(session string) proxytest.Setup {
				return proxytest.Setup{Global: "rudder_session {\n" + option(f) + "\n}", Session: session}
			})
		})
	}
}

func (f *faults) open(shared bool) (sessionstate.Store, error) {
	if f.opens.Load() {
		return nil, errFaulty
	}
	f.opened.Add(1)
	s := &faultyStore{faults: f}
	if shared {
		return sharedFaulty{s}, nil
	}
	return s, nil
}

// sharedFaulty is a shared store, although nobody else changes it.
type sharedFaulty struct{ *faultyStore }

func (sharedFaulty) Watch(func(string), func()) bool { return true }

// At and Ahead: the store has a clock, which is that of this machine.
func (sharedFaulty) At(local time.Time) time.Time { return local }

func (sharedFaulty) Ahead() (ahead, within time.Duration, known bool) { return 0, 0, true }

// faultyStore is not Resident, so that the table has a cache in front of it, as in front
// of a disk.
type faultyStore struct {
	*faults
	shut atomic.Bool
}

func (s *faultyStore) call(ctx context.Context, key string, fails *atomic.Bool) error {
	if s.shut.Load() {
		s.t.Error("a store was used after it was closed")
	}
	if only := s.only.Load(); only != nil && !strings.Contains(key, *only) {
		return nil
	}
	if s.stalls.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if fails.Load() {
		return errFaulty
	}
	return nil
}

func (s *faultyStore) Get(ctx context.Context, key string) (*session.Session, error) {
	if err := s.call(ctx, key, &s.reads); err != nil {
		return nil, err
	}
	return s.memory.Get(ctx, key)
}

func (s *faultyStore) CompareAndSwap(ctx context.Context, changes []sessionstate.Swap) {
	for i := range changes {
		c := &changes[i]
		if c.Err = s.call(ctx, c.Key, &s.writes); c.Err != nil || s.losses.Add(-1) >= 0 {
			continue
		}
		if s.failures.Add(-1) >= 0 {
			c.Err = errFaulty
			continue
		}
		s.memory.CompareAndSwap(ctx, changes[i:i+1])
		s.write()
		if s.unanswered.Add(-1) >= 0 {
			c.Done, c.Err = false, errFaulty
		}
	}
}

func (s *faultyStore) Delete(ctx context.Context, key string) error {
	if err := s.call(ctx, key, &s.writes); err != nil {
		return err
	}
	return s.memory.Delete(ctx, key)
}

func (s *faultyStore) Scan(ctx context.Context, fn func(string, *session.Session) error) error {
	if err := s.call(ctx, "", &s.reads); err != nil {
		return err
	}
	return s.memory.Scan(ctx, fn)
}

func (s *faultyStore) Close() error {
	if s.shut.Swap(true) {
		s.t.Error("a store was closed twice")
	}
	s.closed.Add(1)
	return nil
}
