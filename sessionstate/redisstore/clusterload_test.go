package redisstore_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// clusterLoad is users who begin and end sessions, one call after the other, each call
// at one of two tables.
type clusterLoad struct {
	tables []*Table
	calls  atomic.Int64 // the answered ones
	failed atomic.Int64
	wrong  atomic.Int64
	// longest is the longest time, in milliseconds, for which a user's calls failed.
	longest atomic.Int64
	stop    chan struct{}
	users   sync.WaitGroup
}

func startLoad(t *testing.T, tables []*Table, users int) *clusterLoad {
	l := &clusterLoad{tables: tables, stop: make(chan struct{})}
	for i := range users {
		l.users.Go(func() { l.user(t, i) })
	}
	stop := sync.OnceFunc(func() { close(l.stop); l.users.Wait() })
	t.Cleanup(stop)
	return l
}

func (l *clusterLoad) end() {
	close(l.stop)
	l.users.Wait()
	l.stop = make(chan struct{}) // for the cleanup
}

// call repeats a control call until it is answered, as SDKs do.
func (l *clusterLoad) call(table *Table, key string, e session.Event) (session.Decision, bool) {
	begun := time.Now()
	for {
		d, err := apply(table, key, e)
		if err == nil {
			l.calls.Add(1)
			if took := time.Since(begun).Milliseconds(); took > l.longest.Load() {
				l.longest.Store(took)
			}
			return d, true
		}
		l.failed.Add(1)
		select {
		case <-l.stop:
			return d, false
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (l *clusterLoad) user(t *testing.T, i int) {
	key := fmt.Sprint("user ", i)
	for n := i; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		table := l.tables[n%len(l.tables)]
		started, ok := l.call(table, key, message(session.Start))
		if !ok {
			return
		}
		if d, err := apply(table, key, message(session.Other)); err == nil && d.SessionID != started.SessionID {
			l.wrong.Add(1)
			t.Errorf("%s: an event of session %d, not %d", key, d.SessionID, started.SessionID)
		}
		if _, ok := l.call(table, key, message(session.End)); !ok {
			return
		}
		if d, err := apply(table, key, message(session.Other)); err == nil && d.Action != session.Clear {
			l.wrong.Add(1)
			t.Errorf("%s: an event after the end: %+v", key, d)
		}
	}
}

// await waits until a number of further calls have been answered.
func (l *clusterLoad) await(t *testing.T, more int64) {
	t.Helper()
	goal := l.calls.Load() + more
	redistest.Await(t, "calls are answered", func() bool { return l.calls.Load() >= goal })
}

// Slots move from node to node while sessions begin and end: no call is lost, and no
// table answers with a wrong state.
func TestClusterIsReshardedUnderLoad(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	const prefix = "moving:"
	tables := openTables(t, 2, redisstore.Options{URLs: urls(nodes), Prefix: prefix})
	const users = 6
	l := startLoad(t, tables, users)
	l.await(t, 100)
	begun, before, moved := time.Now(), l.calls.Load(), 0
	for round := range 2 {
		for i := range users {
			slot := slotOf(t, nodes[0], prefix+fmt.Sprint("user ", i))
			at := (slot*len(nodes)/16384 + round) % len(nodes)
			moveSlot(t, slot, nodes[at], nodes[(at+1)%len(nodes)])
			moved++
			l.await(t, 20)
		}
	}
	took := time.Since(begun)
	l.end()
	t.Logf("%d slots moved in %v: %d calls answered, %d tries failed, %d wrong, longest %d ms",
		moved, took.Round(time.Millisecond), l.calls.Load()-before, l.failed.Load(), l.wrong.Load(), l.longest.Load())
	for i := range users {
		key := fmt.Sprint("user ", i)
		id := send(t, tables[0], key, session.Start).SessionID
		awaitID(t, tables[1], key, id)
	}
}

// moveSlot moves a slot to another node, including keys that are added in the meantime.
func moveSlot(t *testing.T, slot int, from, to *redistest.Server) {
	t.Helper()
	number := strconv.Itoa(slot)
	fromID, toID := from.Do("CLUSTER", "MYID"), to.Do("CLUSTER", "MYID")
	to.Do("CLUSTER", "SETSLOT", number, "IMPORTING", fromID)
	from.Do("CLUSTER", "SETSLOT", number, "MIGRATING", toID)
	host, port, _ := strings.Cut(to.Addr, ":")
	for {
		keys := from.Do("CLUSTER", "GETKEYSINSLOT", number, "100")
		if keys == "" {
			break
		}
		from.Do(append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, strings.Split(keys, "\n")...)...)
	}
	to.Do("CLUSTER", "SETSLOT", number, "NODE", toID)
	from.Do("CLUSTER", "SETSLOT", number, "NODE", toID)
}

// A master of a Cluster dies, or hangs, and its replica takes over: replicated sessions
// are kept, keys of other nodes are available all the time, and those of the dead node
// again when the Cluster has its new master.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*redistest.Server){
		"killed": (*redistest.Server).Kill, "stopped": (*redistest.Server).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			masters := redistest.StartCluster(t, "--cluster-require-full-coverage", "no")
			replicas := redistest.StartReplicas(t, masters)
			const prefix = "failover:"
			o := redisstore.Options{URLs: urls(masters), Prefix: prefix, Timeout: time.Second}
			tables := openTables(t, 2, o)
			keys := keysOf(t, masters, prefix, 10)
			ids := map[string]int64{}
			for _, of := range keys {
				for _, key := range of {
					ids[key] = send(t, tables[0], key, session.Start).SessionID
					send(t, tables[0], key, session.Other)
					awaitID(t, tables[1], key, ids[key])
				}
			}
			for i := range masters {
				redistest.Await(t, "the replica has it all", func() bool {
					return replicas[i].Do("DBSIZE") == masters[i].Do("DBSIZE") && masters[i].Do("WAIT", "1", "1000") == "1"
				})
			}
			leave(masters[1])
			begun, failed, answered := time.Now(), 0, 0
			redistest.Await(t, "the dead node's keys are to be had", func() bool {
				for _, at := range []int{0, 2} {
					if _, err := apply(tables[0], keys[at][0], message(session.Other)); err != nil {
						t.Errorf("a key of node %d: %v", at, err)
					}
				}
				all := true
				for _, key := range keys[1][5:] {
					if _, err := apply(tables[0], key, message(session.Start)); err != nil {
						failed++
						all = false
					} else {
						answered++
					}
				}
				return all
			})
			t.Logf("%s: all to be had after %v; %d calls failed meanwhile, %d were answered",
				name, time.Since(begun).Round(10*time.Millisecond), failed, answered)
			for i, of := range keys {
				for _, key := range of[:5] {
					for n, table := range tables {
						redistest.Await(t, "a session is read", func() bool {
							d, err := apply(table, key, message(session.Other))
							if err == nil && d.SessionID != ids[key] {
								t.Errorf("table %d, node %d: session %d, not %d", n, i, d.SessionID, ids[key])
							}
							return err == nil
						})
					}
				}
			}
			// From now on each table sees the other's changes.
			key := keys[1][0]
			id := send(t, tables[0], key, session.Start).SessionID
			redistest.Await(t, "the other has it", func() bool {
				d, err := apply(tables[1], key, message(session.Other))
				return err == nil && d.SessionID == id
			})
			if name == "stopped" {
				masters[1].Resume()
			} else {
				masters[1].Restart()
			}
			redistest.Await(t, "the old master follows the new one", func() bool {
				info, err := masters[1].Try("INFO", "replication")
				return err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
			})
			for _, table := range tables {
				redistest.Await(t, "the new master's state holds", func() bool {
					d, err := apply(table, key, message(session.Other))
					return err == nil && d.SessionID == id
				})
			}
		})
	}
}
