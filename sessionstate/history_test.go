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

	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Random histories of several keys, told at once to a table whose store is its
// own, fails in each way there is, and takes its time, are held against a table
// that has nothing to fail: all that was answered has happened, all that was not
// has not, at each moment, and in the store when the table is closed.
func TestHistoriesInAFailingStore(t *testing.T) {
	for name, automatic := range map[string]session.AutomaticPolicy{"sdk": session.AutomaticSDK, "proxy": session.AutomaticProxy, "off": session.AutomaticOff} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				r := &retelling{
					seed:     rapid.Uint64().Draw(rt, "seed"),
					policy:   drawPolicy(rt, automatic),
					capacity: rapid.IntRange(1, 4).Draw(rt, "capacity"),
					failing:  rapid.SampledFrom([]int{0, 5, 20, 60}).Draw(rt, "failing"),
				}
				for range rapid.IntRange(1, 6).Draw(rt, "keys") {
					r.histories = append(r.histories, drawUnordered(rt))
				}
				// Each in a time of its own.
				synctest.Test(t, func(*testing.T) { r.tell() })
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

// retelling tells histories to a table over a store of its own, and what was
// answered to one in memory.
type retelling struct {
	seed      uint64
	policy    session.Policy
	capacity  int
	failing   int // so many of a hundred calls
	histories [][]session.Event

	store     *failStore
	table     *Table
	reference *Table
	memory    *memorystore.Store

	mu       sync.Mutex
	dice     map[string]*rand.Rand // of the store
	problems []string
}

func (r *retelling) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// chance is what the store throws for a key: the same again in the next run, as
// far as that can be.
func (r *retelling) chance(key string, n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dice[key] == nil {
		r.dice[key] = rand.New(rand.NewPCG(r.seed, uint64(len(key))<<8|uint64(key[len(key)-1])))
	}
	return r.dice[key].IntN(n)
}

func (r *retelling) fails(key string) bool { return r.chance(key, 100) < r.failing }

// dawdle lets another go on.
func dawdle(n int) { time.Sleep(time.Duration(n) * time.Millisecond) }

func (r *retelling) tell() {
	r.dice = map[string]*rand.Rand{}
	r.store = &failStore{sessions: map[string]*session.Session{}}
	r.store.set(hooks{
		onGet: func(_ context.Context, key string) error {
			dawdle(r.chance(key, 3))
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
			dawdle(r.chance(changes[0].Key, 3))
			return nil
		},
		fate: func(c *Swap) fate {
			if r.fails(c.Key) {
				return []fate{failed, unheard, late}[r.chance(c.Key, 3)]
			}
			return kept
		},
	})
	o := flushing(2 * time.Millisecond)
	o.Capacity, o.Deadline = r.capacity, time.Second
	r.table = NewTable(r.store, o)
	r.memory = memorystore.New()
	r.reference = NewTable(r.memory, Options{Settings: Settings{Capacity: 1000}})
	together(len(r.histories), func(i int) {
		random := rand.New(rand.NewPCG(r.seed, uint64(i+1)))
		for n := range r.histories[i] {
			dawdle(random.IntN(4))
			r.one(random, fmt.Sprint("key ", i), base+1000+int64(n), r.histories[i][n])
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

// one tells a message, as a request does: where the table can answer at once it
// does. What is not answered, and is none of a control call, failed at reading.
func (r *retelling) one(random *rand.Rand, key string, now int64, e session.Event) {
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
		// It would survive a crash of this moment: unless it changed nothing, in
		// which case what was before it may be yet to be written.
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

// caused reports whether the newest thing that is known of a session is e.
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

func (r *retelling) held(key string) *session.Session {
	s, _ := r.memory.Get(context.Background(), key)
	return s
}

func (r *retelling) compare(key, when string) {
	if got, want := r.store.held(key), r.held(key); !same(got, want) {
		r.problem("%s %s: the store has %+v, want %+v", key, when, got, want)
	}
}
