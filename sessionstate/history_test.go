package sessionstate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Random histories of several keys are sent concurrently to a table with a slow store
// that fails in every way, and compared with a table in memory: every message that was
// answered has had its effect, every one that was not has had none, at each moment, and
// in the store after the table is closed.
func TestHistoriesInAFailingStore(t *testing.T) {
	for name, automatic := range map[string]session.AutomaticPolicy{"sdk": session.AutomaticSDK, "proxy": session.AutomaticProxy, "off": session.AutomaticOff} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				r := &historyRun{
					seed:     rapid.Uint64().Draw(rt, "seed"),
					policy:   drawPolicy(rt, automatic),
					capacity: rapid.IntRange(1, 4).Draw(rt, "capacity"),
					failing:  rapid.SampledFrom([]int{0, 5, 20, 60}).Draw(rt, "failing"),
				}
				for range rapid.IntRange(1, 6).Draw(rt, "keys") {
					r.histories = append(r.histories, drawUnordered(rt))
				}
				// Each with its own clock.
				synctest.Test(t, func(*testing.T) { r.run() })
				if len(r.problems) > 0 {
					rt.Fatalf("%d problems, the first: %s", len(r.problems), r.problems[0])
				}
			})
		})
	}
}

// drawUnordered makes a history that arrives in any order.
func drawUnordered(t *rapid.T) []session.Event {
	var events []session.Event
	for range rapid.IntRange(1, 20).Draw(t, "messages") {
		n := len(events)
		if n > 0 && rapid.IntRange(0, 7).Draw(t, "again") == 0 {
			events = append(events, events[rapid.IntRange(0, n-1).Draw(t, "which")])
			continue
		}
		at := base + int64(n) + rapid.Int64Range(0, 15).Draw(t, "time")
		events = append(events, drawEvent(t, at, session.MessageID(n+1)))
	}
	return events
}

// historyRun sends histories to a table over a failing store, and those messages that
// were answered to a reference table in memory.
type historyRun struct {
	seed      uint64
	policy    session.Policy
	capacity  int
	failing   int // percent of the store's calls
	histories [][]session.Event

	store     *failStore
	table     *Table
	reference *Table
	memory    *memorystore.Store

	mu       sync.Mutex
	random   map[string]*rand.Rand // the store's, by key
	problems []string
}

func (r *historyRun) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// chance draws a number for a call of the store. Each key has its own generator, so
// that runs are as reproducible as concurrency allows.
func (r *historyRun) chance(key string, n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.random[key] == nil {
		r.random[key] = rand.New(rand.NewPCG(r.seed, uint64(len(key))<<8|uint64(key[len(key)-1])))
	}
	return r.random[key].IntN(n)
}

func (r *historyRun) fails(key string) bool { return r.chance(key, 100) < r.failing }

// sleep lets other goroutines go on.
func sleep(n int) { time.Sleep(time.Duration(n) * time.Millisecond) }

func (r *historyRun) run() {
	r.random = map[string]*rand.Rand{}
	r.store = &failStore{sessions: map[string]*session.Session{}}
	r.store.set(hooks{
		onGet: func(_ context.Context, key string) error {
			sleep(r.chance(key, 3))
			if r.fails(key) {
				return errDown
			}
			return nil
		},
		onSwap: func(ctx context.Context, changes []Swap) error {
			if len(changes) == 0 {
				return nil
			}
			if r.fails(changes[0].Key) && r.chance(changes[0].Key, 10) == 0 {
				<-ctx.Done()
				return ctx.Err()
			}
			sleep(r.chance(changes[0].Key, 3))
			return nil
		},
		outcome: func(c *Swap) outcome {
			if r.fails(c.Key) {
				return []outcome{failed, answerLost, appliedLate}[r.chance(c.Key, 3)]
			}
			return applied
		},
	})
	o := flushing(2 * time.Millisecond)
	o.Capacity, o.Deadline = r.capacity, time.Second
	r.table = NewTable(r.store, o)
	r.memory = memorystore.New()
	r.reference = NewTable(r.memory, Options{Settings: Settings{Capacity: 1000}})
	sessiontest.Together(len(r.histories), func(i int) {
		random := rand.New(rand.NewPCG(r.seed, uint64(i+1)))
		for n := range r.histories[i] {
			sleep(random.IntN(4))
			r.apply(random, fmt.Sprint("key ", i), base+1000+int64(n), r.histories[i][n])
		}
	})
	r.store.set(hooks{})
	if err := r.table.Close(); err != nil {
		r.problem("close: %v", err)
	}
	for i := range r.histories {
		r.compare(fmt.Sprint("key ", i), "at the end")
	}
	r.problems = append(r.problems, r.store.broken...)
}

// apply sends a message as a request does: the table answers at once where it can. If
// an event is not answered, its session could not be read.
func (r *historyRun) apply(random *rand.Rand, key string, now int64, e session.Event) {
	var got, want [1]session.Decision
	if !r.table.ApplyNow(new(Scratch), key, request(now, &r.policy, []session.Event{e}), got[:]) {
		err := r.table.Apply(context.Background(), key, request(now, &r.policy, []session.Event{e}), got[:])
		if err != nil {
			if !errors.Is(err, errDown) && !errors.Is(err, context.DeadlineExceeded) {
				r.problem("%s: %s: %v", key, brief(e), err)
			}
			return
		}
	}
	if err := r.reference.Apply(context.Background(), key, request(now, &r.policy, []session.Event{e}), want[:]); err != nil {
		r.problem("reference: %v", err)
	}
	if got != want {
		r.problem("%s: %s: got %+v, want %+v", key, brief(e), got[0], want[0])
	}
	if e.Kind.Control() && !got[0].Repeated && random.IntN(2) == 0 {
		// It would survive a crash now, unless it changed nothing: then the state before
		// it may still have to be written.
		if s := r.held(key); s != nil && r.store.held(key) != nil && caused(s, e) {
			r.compare(key, "after "+brief(e))
		}
	}
	if got[0].Start && random.IntN(3) == 0 {
		if r.table.Release(context.Background(), key, e.Message, got[0].SessionID) == nil {
			_ = r.reference.Release(context.Background(), key, e.Message, got[0].SessionID)
		}
	}
}

// caused reports whether e began a segment of a session.
func caused(s *session.Session, e session.Event) bool {
	if e.Message == 0 {
		return false
	}
	for i := range s.Segments {
		if s.Segments[i].Cause == e.Message {
			return true
		}
	}
	return false
}

func (r *historyRun) held(key string) *session.Session {
	s, _ := r.memory.Get(context.Background(), key)
	return s
}

func (r *historyRun) compare(key, when string) {
	if got, want := r.store.held(key), r.held(key); !same(got, want) {
		r.problem("%s %s: the store has %+v, want %+v", key, when, got, want)
	}
}
