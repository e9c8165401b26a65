package redisstore_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// fill makes sessions, each newer than the previous one.
func fill(t *testing.T, s *redisstore.Store, from, to int) {
	t.Helper()
	for ; from < to; from += 100 {
		var changes []Swap
		for i := from; i < from+100; i++ {
			changes = append(changes, Swap{Key: fmt.Sprint("key ", i), Next: sessionOf(session.Version(i+1), 1_000_000_000)})
		}
		s.CompareAndSwap(context.Background(), changes)
		for _, c := range changes {
			if !c.Done {
				t.Fatalf("%s: %v", c.Key, c.Err)
			}
		}
	}
}

// kept returns the numbers of those sessions of fill that still exist.
func kept(t *testing.T, s *redisstore.Store) (numbers []int) {
	t.Helper()
	if err := s.Scan(t.Context(), func(key string, _ *session.Session) error {
		n, err := strconv.Atoi(strings.TrimPrefix(key, "key "))
		numbers = append(numbers, n)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return numbers
}

// keysIn returns how many keys a server has, of whomever.
func keysIn(t *testing.T, server *redistest.Server) int {
	t.Helper()
	n, err := strconv.Atoi(server.Do("DBSIZE"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// If there are more sessions than the bound, those not seen for longest are deleted, and
// no other keys.
func TestBound(t *testing.T) {
	t.Parallel()
	for name, nodes := range map[string][]*redistest.Server{
		"one server": {redistest.Start(t)}, "Cluster": redistest.StartCluster(t),
	} {
		t.Run(name, func(t *testing.T) {
			const bound, many = 1000, 3000
			store := open(t, redisstore.Options{URLs: urls(nodes), Prefix: "bound:"})
			defer store.Close()
			fill(t, store, 0, many)
			if got := len(kept(t, store)); got != many {
				t.Fatalf("%d of %d without a bound", got, many)
			}
			store.Bound(bound)
			roomIsMade := func() {
				t.Helper()
				redistest.Await(t, "room is made", func() bool {
					n := 0
					for _, node := range nodes {
						n += keysIn(t, node)
					}
					return n <= bound
				})
			}
			roomIsMade()
			left := kept(t, store)
			old := 0
			for _, n := range left {
				if n < many-bound-many/6 {
					old++
				}
			}
			if len(left) < bound*9/10 || old > len(left)/20 {
				t.Errorf("%d are left, of which %d are old", len(left), old)
			}
			// The bound holds, whatever is added.
			fill(t, store, many, 2*many)
			roomIsMade()
		})
	}
}

// Keys of other programs are left alone, and do not count as sessions.
func TestBoundBesideOthers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: "bound:"})
	defer store.Close()
	const others = 3000
	server.Do("EVAL", fmt.Sprintf("for i = 1, %d do redis.call('SET', 'other:' .. i, 'aaaaaaaaaaaaaaaaaaaaa') end return 1", others), "0")
	server.Do("LPUSH", "bound:list", "no session")
	fill(t, store, 0, 1000)
	store.Bound(2000)
	fill(t, store, 1000, 4000)
	sessions := func() int { return keysIn(t, server) - others - 1 }
	redistest.Await(t, "room is made", func() bool { return sessions() < 2600 })
	if n := sessions(); n < 1000 {
		t.Errorf("%d sessions are left", n)
	}
	if server.Do("EXISTS", "bound:list") != "1" {
		t.Error("something else under the prefix is gone")
	}
}

// A server whose memory is full of sessions accepts new ones after some were deleted to
// make room, and tables that had those in their cache are notified.
func TestBoundEndsAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	store := open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: "bound:"})
	fill(t, store, 0, 10_000)
	table := tableOver(t, store)
	if d := send(t, table, "key 1", session.Other); d.SessionID != 1_000_000_000 {
		t.Errorf("before: %+v", d)
	}
	used, _, _ := strings.Cut(server.Do("INFO", "memory"), "\r\nused_memory_human")
	server.Do("CONFIG", "SET", "maxmemory", used[strings.LastIndex(used, ":")+1:])
	redistest.Await(t, "the server is full", func() bool {
		_, err := apply(table, fmt.Sprint("new ", ticks.Add(1)), message(session.Start))
		return err != nil && strings.Contains(err.Error(), "OOM")
	})
	table.Configure(Settings{Capacity: 100_000, MaxStored: 2500})
	redistest.Await(t, "sessions are started again", func() bool {
		_, err := apply(table, fmt.Sprint("new ", ticks.Add(1)), message(session.Start))
		return err == nil
	})
	redistest.Await(t, "what is gone is not in memory", func() bool {
		for i := range 20 {
			key := fmt.Sprint("key ", i)
			if server.Do("EXISTS", "bound:"+key) == "0" && send(t, table, key, session.Other).SessionID == 0 {
				return true
			}
		}
		return false
	})
}
