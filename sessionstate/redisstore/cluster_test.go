package redisstore_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func urls(nodes []*redistest.Server) (urls []string) {
	for _, node := range nodes {
		urls = append(urls, node.URL())
	}
	return urls
}

// slotOf is the slot of a key in a Cluster.
func slotOf(t *testing.T, node *redistest.Server, key string) int {
	t.Helper()
	slot, err := strconv.Atoi(node.Do("CLUSTER", "KEYSLOT", key))
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

// keysOf returns n keys of each node.
func keysOf(t *testing.T, nodes []*redistest.Server, prefix string, n int) [][]string {
	t.Helper()
	keys := make([][]string, len(nodes))
	for i, enough := 0, 0; enough < len(nodes); i++ {
		key := fmt.Sprint("key ", i)
		at := slotOf(t, nodes[0], prefix+key) * len(nodes) / 16384
		if len(keys[at]) == n {
			continue
		}
		if keys[at] = append(keys[at], key); len(keys[at]) == n {
			enough++
		}
	}
	return keys
}

// If a node is away, only its own keys are unavailable.
func TestClusterNodeIsAway(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t, "--cluster-require-full-coverage", "no")
	prefix := freshPrefix()
	keys := keysOf(t, nodes, prefix, 5)
	for name, away := range map[string]struct{ leave, come func(*redistest.Server) }{
		"killed":  {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"stopped": {(*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			o := redisstore.Options{URLs: urls(nodes), Prefix: prefix, Timeout: time.Second}
			table := openTables(t, 1, o)[0]
			for _, of := range keys {
				for _, key := range of {
					send(t, table, key, session.Start)
				}
			}
			away.leave(nodes[1])
			failed := 0
			for round := range 6 {
				for i, of := range keys {
					for _, key := range of {
						_, err := apply(table, key, message(session.Start))
						if i != 1 && err != nil {
							t.Errorf("round %d: a key of node %d: %v", round, i, err)
						}
						if i == 1 && err != nil {
							failed++
						}
					}
				}
			}
			if failed == 0 {
				t.Error("no call failed")
			}
			away.come(nodes[1])
			redistest.Await(t, "all keys are to be had", func() bool {
				for _, of := range keys {
					for _, key := range of {
						if _, err := apply(table, key, message(session.Start)); err != nil {
							return false
						}
					}
				}
				return true
			})
		})
	}
}

// When a slot moves to another node, its sessions move too, and readers are notified of
// changes there.
func TestClusterSlotMoves(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	const prefix = "{all in one slot}:"
	tables := openTables(t, 2, redisstore.Options{URLs: urls(nodes), Prefix: prefix})
	const known, unknown = "known", "unknown"
	slot := slotOf(t, nodes[0], prefix)
	at := slot * len(nodes) / 16384
	id := send(t, tables[0], known, session.Start).SessionID
	send(t, tables[0], known, session.Other)
	for _, table := range tables {
		awaitID(t, table, known, id)
		awaitID(t, table, unknown, 0)
	}
	move(t, slot, nodes[at], nodes[(at+1)%len(nodes)], prefix+known)
	for _, table := range tables {
		awaitID(t, table, known, id)
	}
	id = send(t, tables[1], known, session.Start).SessionID
	awaitID(t, tables[0], known, id)
	id = send(t, tables[1], unknown, session.Start).SessionID
	awaitID(t, tables[1], unknown, id)
	awaitID(t, tables[0], unknown, id)
}

// move moves a slot and its keys from one node to another.
func move(t *testing.T, slot int, from, to *redistest.Server, keys ...string) {
	t.Helper()
	number := strconv.Itoa(slot)
	fromID, toID := from.Do("CLUSTER", "MYID"), to.Do("CLUSTER", "MYID")
	to.Do("CLUSTER", "SETSLOT", number, "IMPORTING", fromID)
	from.Do("CLUSTER", "SETSLOT", number, "MIGRATING", toID)
	host, port, err := net.SplitHostPort(to.Addr)
	if err != nil {
		t.Fatal(err)
	}
	from.Do(append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, keys...)...)
	to.Do("CLUSTER", "SETSLOT", number, "NODE", toID)
	from.Do("CLUSTER", "SETSLOT", number, "NODE", toID)
}

// While a slot moves, each of its keys is found on the node that has it.
func TestClusterSlotIsMoving(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	prefix := freshPrefix()
	tables := openTables(t, 2, redisstore.Options{URLs: urls(nodes), Prefix: prefix})
	key := keysOf(t, nodes, prefix, 1)[0][0]
	number := strconv.Itoa(slotOf(t, nodes[0], prefix+key))
	fromID, toID := nodes[0].Do("CLUSTER", "MYID"), nodes[1].Do("CLUSTER", "MYID")
	nodes[1].Do("CLUSTER", "SETSLOT", number, "IMPORTING", fromID)
	nodes[0].Do("CLUSTER", "SETSLOT", number, "MIGRATING", toID)
	// A key that does not exist yet belongs to the slot's new node.
	for range 5 {
		id := send(t, tables[0], key, session.Start).SessionID
		send(t, tables[0], key, session.Other)
		awaitID(t, tables[1], key, id)
		send(t, tables[1], key, session.End)
		awaitID(t, tables[0], key, 0)
	}
	found := 0
	if err := tables[0].Each(t.Context(), func(string, *session.Session) error { found++; return nil }); err != nil || found != 1 {
		t.Errorf("of one session are found %d, %v", found, err)
	}
}

// A user needs the same rights on the nodes of a Cluster as on a single server.
func TestClusterRights(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	const prefix = "rudder_session:"
	for _, node := range nodes {
		addUser(t, node, "caddy", prefix, rights...)
	}
	tables := openTables(t, 2, redisstore.Options{URLs: urls(nodes), Prefix: prefix, Username: "caddy", Password: secret})
	for i := range 20 {
		key := fmt.Sprint("key ", i)
		id := send(t, tables[0], key, session.Start).SessionID
		send(t, tables[0], key, session.Other)
		awaitID(t, tables[1], key, id)
	}
	for _, node := range nodes {
		if denied := node.Do("ACL", "LOG"); denied != "" {
			t.Errorf("what was refused: %s", denied)
		}
	}
}
