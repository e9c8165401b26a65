package redisstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// If the master dies, the new one that the Sentinels choose is used; the old one comes
// back as a replica, and nothing cached from it is served.
func TestFailover(t *testing.T) {
	t.Parallel()
	servers := map[string]*redistest.Server{}
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	servers[master.Addr], servers[replica.Addr] = master, replica
	const prefix = "rudder_session:"
	for _, s := range servers {
		addUser(t, s, "caddy", prefix, append(sentinelRights, rights...)...)
	}
	sentinels := redistest.StartSentinels(t, master, 1)
	o := redisstore.Options{
		URLs: sentinels.URLs(), Sentinel: sentinels.Name, Prefix: prefix, Username: "caddy", Password: secret,
	}
	tables := openTables(t, 2, o)
	for round := range 2 { // the old master is killed, or hangs
		old := servers[sentinels.Master()]
		var next *redistest.Server
		for _, s := range servers {
			if s != old {
				next = s
			}
		}
		key := func(i int) string { return fmt.Sprint("key ", round, i) }
		var ids []int64
		for i := range 20 {
			id := send(t, tables[0], key(i), session.Start).SessionID
			send(t, tables[0], key(i), session.Other)
			awaitID(t, tables[1], key(i), id)
			ids = append(ids, id)
		}
		redistest.Await(t, "the replica has it all", func() bool {
			return next.Do("DBSIZE") == old.Do("DBSIZE")
		})
		// A write that was not replicated is lost.
		old.Do("SET", "only here", "1")
		if round == 0 {
			old.Kill()
		} else {
			old.Pause()
		}
		awaitWell(t, tables...)
		if got := sentinels.Master(); got != next.Addr {
			t.Fatalf("control calls are answered, but the master is %s", got)
		}
		changed := send(t, tables[1], key(0), session.Start).SessionID
		awaitID(t, tables[0], key(0), changed)
		if round == 0 {
			old.Restart()
		} else {
			old.Resume()
		}
		redistest.Await(t, "the old master follows the new one", func() bool {
			info, err := old.Try("INFO", "replication")
			return err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
		})
		// A killed server has forgotten its ACL users, which are not saved with the data.
		addUser(t, old, "caddy", prefix, append(sentinelRights, rights...)...)
		ids[0] = changed
		for i, id := range ids {
			for _, table := range tables {
				if d := send(t, table, key(i), session.Other); d.SessionID != id {
					t.Errorf("session %d after the failover, not %d", d.SessionID, id)
				}
			}
		}
		id := send(t, tables[0], key(1), session.Start).SessionID
		awaitID(t, tables[1], key(1), id)
	}
}

// A planned failover loses nothing, and all clients move to the new master.
func TestPlannedFailover(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	sentinels := redistest.StartSentinels(t, master, 1)
	sentinels.Trust()
	tables := openTables(t, 2, redisstore.Options{URLs: sentinels.URLs(), Sentinel: sentinels.Name})
	for i := range 20 {
		id := send(t, tables[0], fmt.Sprint("key ", i), session.Start).SessionID
		send(t, tables[0], fmt.Sprint("key ", i), session.Other)
		awaitID(t, tables[1], fmt.Sprint("key ", i), id)
	}
	redistest.Await(t, "the replica is known to be fit", func() bool {
		_, err := sentinels.Nodes[0].Try("SENTINEL", "FAILOVER", sentinels.Name)
		return err == nil
	})
	redistest.Await(t, "there is a new master", func() bool { return sentinels.Master() == replica.Addr })
	redistest.Await(t, "the old one follows it", func() bool {
		info, err := master.Try("INFO", "replication")
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	awaitWell(t, tables...)
	for i := range 20 {
		key := fmt.Sprint("key ", i)
		id := send(t, tables[1], key, session.Start).SessionID
		send(t, tables[1], key, session.Other)
		awaitID(t, tables[0], key, id)
	}
}

// Sentinels may come and go while the master stays.
func TestSentinelsAreAway(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	sentinels := redistest.StartSentinels(t, master, 0)
	o := redisstore.Options{URLs: sentinels.URLs(), Sentinel: sentinels.Name, Prefix: freshPrefix()}
	before := openTables(t, 1, o)[0]
	id := send(t, before, "key", session.Start).SessionID
	send(t, before, "key", session.Other)
	sentinels.Nodes[0].Kill()
	awaitID(t, openTables(t, 1, o)[0], "key", id)
	sentinels.Nodes[1].Kill()
	sentinels.Nodes[2].Kill()
	awaitID(t, before, "key", send(t, before, "key", session.Start).SessionID)
	var seen states
	o.Log = seen.log()
	after := openTables(t, 1, o)[0]
	if _, err := apply(after, "key", message(session.Start)); !isDown(err) {
		t.Errorf("without Sentinels: %v", err)
	}
	for _, node := range sentinels.Nodes {
		node.Restart()
	}
	seen.awaitUp(t)
	awaitID(t, after, "key", send(t, before, "key", session.Start).SessionID)
}

// A master's name that the Sentinels do not know is logged.
func TestUnknownMaster(t *testing.T) {
	master := redistest.Start(t)
	sentinels := redistest.StartSentinels(t, master, 0)
	var seen states
	store := open(t, redisstore.Options{URLs: sentinels.URLs(), Sentinel: "nobody", Log: seen.log()})
	defer store.Close()
	if _, _, err := seen.get(); err == nil {
		t.Error("the master of an unknown name is found")
	}
	if _, err := store.Get(t.Context(), "key"); !isDown(err) {
		t.Errorf("get: %v", err)
	}
}
