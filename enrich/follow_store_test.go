package enrich_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// counted is a shared store that counts its calls.
type counted struct {
	sessionstate.Store
	watch         bool
	gets, changes atomic.Int64
}

func newCounted(watch bool) *counted {
	memory := memorystore.New()
	memory.Resize(1000)
	return &counted{Store: memory, watch: watch}
}

func (c *counted) Get(ctx context.Context, key string) (*session.Session, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, key)
}

func (c *counted) CompareAndSwap(ctx context.Context, changes []sessionstate.Swap) {
	c.changes.Add(int64(len(changes)))
	c.Store.CompareAndSwap(ctx, changes)
}

func (c *counted) Watch(func(string), func()) bool { return c.watch }

// since returns the calls of the store since the last time.
func (c *counted) since() string {
	return fmt.Sprintf("%d gets, %d changes", c.gets.Swap(0), c.changes.Swap(0))
}

func tableOn(t *testing.T, store sessionstate.Store) *sessionstate.Table {
	table := sessionstate.NewTable(store, sessionstate.Options{Settings: sessionstate.Settings{Capacity: 1000, FlushInterval: time.Hour}})
	t.Cleanup(func() { _ = table.Close() }) // the error does not matter
	return table
}

// enrichAt enriches a request that is received at a time, and returns the new body.
func enrichAt(t *testing.T, table *sessionstate.Table, at int64, follow bool, body string) string {
	t.Helper()
	r := &Request{
		Endpoint: Batch, WriteKey: "wk", Received: at, MaxBody: 1 << 20, Follow: follow,
		Policy: &session.Policy{Timeout: 1_800_000, Retention: 400 * 86_400_000},
	}
	result := Enrich(t.Context(), table, r, []byte(body))
	if result.Err != nil || result.Unreadable {
		t.Fatalf("%s: %+v", body, result)
	}
	if result.Body == nil {
		return body
	}
	return string(result.Body.Bytes())
}

const (
	onDevice  = `{"batch":[{"type":"track","event":"x","messageId":"m%d","anonymousId":"a","userId":"u"%s}]}`
	ofBackend = `{"batch":[{"type":"track","event":"x","messageId":"s%d","userId":"u","channel":"server"}]}`
	ownID     = `,"context":{"sessionId":1700000000}`
)

// TestStoreTraffic: with follow_user, an event of a known user and device needs no more
// calls of the store; an event of the backend reads one more session, once. Extensions of
// an SDK's own session are written once in each eighth of the timeout.
func TestStoreTraffic(t *testing.T) {
	for _, c := range []struct {
		name, own string
		start     bool
		changes   int64 // in an hour, in addition to those without follow_user
	}{{"manual", "", true, 0}, {"SDK", ownID, false, 16}} {
		t.Run(c.name, func(t *testing.T) {
			// Without a cache, each change is a separate write.
			for _, cached := range []bool{true, false} {
				var gets, changes [2]int64
				for i, follow := range []bool{false, true} {
					store := newCounted(cached)
					table := tableOn(t, store)
					if c.start {
						enrichAt(t, table, morning, follow, `{"batch":[{"type":"startSession","anonymousId":"a","userId":"u"}]}`)
					}
					enrichAt(t, table, morning, follow, fmt.Sprintf(onDevice, 0, c.own))
					store.since()
					for n := range int64(3600) {
						enrichAt(t, table, morning+n*1000, follow, fmt.Sprintf(onDevice, n, c.own))
					}
					gets[i], changes[i] = store.gets.Load(), store.changes.Load()
				}
				if cached && gets[1] != gets[0] || changes[1] > changes[0]+c.changes {
					t.Errorf("cached %v: gets %v, changes %v", cached, gets, changes)
				}
			}
		})
	}
	t.Run("backend", func(t *testing.T) {
		store := newCounted(true)
		first, second := tableOn(t, store), tableOn(t, store)
		enrichAt(t, first, morning, true, `{"batch":[{"type":"startSession","anonymousId":"a","userId":"u"}]}`)
		store.since()
		for i, want := range []string{"2 gets, 0 changes", "0 gets, 0 changes"} {
			if got := enrichAt(t, second, morning+1000, true, fmt.Sprintf(ofBackend, i)); !strings.Contains(got, `"sessionId":1700000000000`) {
				t.Error(got)
			}
			if got := store.since(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}

// TestSDKSessionsLast: other processes see the extension of an SDK's own session after an
// eighth of the timeout at most; for events in one request, at once.
func TestSDKSessionsLast(t *testing.T) {
	store := newCounted(false)
	one, other := tableOn(t, store), tableOn(t, store)
	in := func(at int64) bool {
		return strings.Contains(enrichAt(t, other, at, true, fmt.Sprintf(ofBackend, at)), `"sessionId":1700000000`)
	}
	const minute = 60_000
	for n := range int64(60) {
		enrichAt(t, one, morning+n*minute, true, fmt.Sprintf(onDevice, n, ownID))
		if at := morning + n*minute + 26*minute; !in(at) {
			t.Fatalf("minute %d: not 26 minutes later", n)
		}
	}
	if in(morning + 95*minute) {
		t.Error("not after the timeout")
	}
	var events []string
	late := morning + int64(120*minute)
	for n := range int64(60) {
		events = append(events, fmt.Sprintf(`{"type":"track","event":"x","messageId":"o%d","anonymousId":"a","originalTimestamp":%q,"context":{"sessionId":1700000000}}`,
			n, time.UnixMilli(morning+(60+n)*minute).UTC().Format(time.RFC3339)))
	}
	enrichAt(t, one, late, true, fmt.Sprintf(`{"batch":[%s],"sentAt":%q}`, strings.Join(events, ","), time.UnixMilli(late).UTC().Format(time.RFC3339)))
	if !in(morning + 140*minute) {
		t.Error("what came together is not known")
	}
}

// TestFollowingConcurrently: users and devices change concurrently, through two proxies;
// afterwards, at each time a user's device is the one with the newest event then, and a
// device's user is the one who was on it.
func TestFollowingConcurrently(t *testing.T) {
	for _, watch := range []bool{false, true} {
		t.Run(fmt.Sprint("cached ", watch), func(t *testing.T) {
			store := &telling{counted: newCounted(watch)}
			tables := []*sessionstate.Table{tableOn(t, store), tableOn(t, store)}
			const users, hours = 10, 8
			at := func(hour, user int) int64 { return morning + int64(hour)*3_600_000 + int64(user) }
			var senders sync.WaitGroup
			for user := range users {
				for hour := range hours {
					// In each hour a user is on the device that was the next user's
					// in the hour before, and begins a session there.
					for i, table := range tables {
						hour := []int{hour, hours - 1 - hour}[i] // each call twice, in opposite orders
						senders.Go(func() {
							enrichAt(t, table, morning+86_400_000, true, call((user+hour)%users, user, at(hour, user)))
						})
					}
				}
			}
			senders.Wait()
			for user := range users {
				for hour := range hours {
					for _, table := range tables {
						event := fmt.Sprintf(`{"batch":[{"type":"track","event":"x","messageId":"s","userId":"user %d","originalTimestamp":%q}],"sentAt":%q}`,
							user, stampOf(at(hour, user)+1000), stampOf(morning+86_400_000))
						if got := enrichAt(t, table, morning+86_400_000, true, event); !strings.Contains(got, fmt.Sprintf(`"sessionId":%d`, at(hour, user))) {
							t.Errorf("user %d, hour %d: %s", user, hour, got)
						}
					}
				}
			}
		})
	}
}

func stampOf(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

func call(device, user int, at int64) string {
	return fmt.Sprintf(`{"batch":[{"type":"startSession","messageId":"c%d","anonymousId":"device %d","userId":"user %d","sessionId":%d,"originalTimestamp":%q}],"sentAt":%q}`,
		at, device, user, at, stampOf(at), stampOf(morning+86_400_000))
}

// telling is a shared store: it reports each change to all watchers.
type telling struct {
	*counted
	mu       sync.Mutex
	watchers []func(string)
}

func (s *telling) Watch(changed func(string), _ func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, changed)
	return s.watch
}

func (s *telling) CompareAndSwap(ctx context.Context, changes []sessionstate.Swap) {
	s.counted.CompareAndSwap(ctx, changes)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		for _, changed := range s.watchers {
			changed(changes[i].Key)
		}
	}
}
