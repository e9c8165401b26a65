package redisstore_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A change at one table holds in all others as soon as Redis has notified them.
func TestOthersAreNotified(t *testing.T) {
	server := redistest.Start(t)
	for _, n := range []int{2, 3} {
		t.Run(fmt.Sprint(n, " tables"), func(t *testing.T) {
			tables := openTables(t, n, redisstore.Options{URLs: []string{server.URL()}})
			everywhere := func(id int64) {
				t.Helper()
				for _, table := range tables {
					awaitID(t, table, "key", id)
				}
			}
			for round := range 10 * n {
				at, next := tables[round%n], tables[(round+1)%n]
				started := send(t, at, "key", session.Start).SessionID
				everywhere(started)
				if reset := send(t, next, "key", session.Reset).SessionID; reset == started {
					t.Errorf("resetSession answers the old session %d", reset)
				} else {
					everywhere(reset)
				}
				send(t, at, "key", session.End)
				everywhere(0)
			}
		})
	}
}

// A table does not read again what it has itself written or read.
func TestOwnChangesStay(t *testing.T) {
	server := redistest.Start(t)
	tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}})
	a, b := tables[0], tables[1]
	events := func() {
		for range 10 {
			send(t, a, "key", session.Other)
		}
	}
	send(t, a, "key", session.Start)
	send(t, a, "key", session.Other) // carries the start mark
	free(t, server, "events of a session that was begun here", events)

	send(t, b, "other", session.Start)
	free(t, server, "events while others change other sessions", events)

	send(t, b, "key", session.End)
	redistest.Await(t, "the end is seen", func() bool { return send(t, a, "key", session.Other).Action == session.Clear })
	free(t, server, "events of a session that was ended elsewhere", events)

	send(t, a, "key", session.End)
	free(t, server, "events after an end", events)
}

// A scan of all sessions is not tracked by Redis: it tracks a limited number of keys,
// and would drop those in use.
func TestScanIsNotRemembered(t *testing.T) {
	server := redistest.Start(t)
	o := redisstore.Options{URLs: []string{server.URL()}, Prefix: freshPrefix()}
	writer, reader := open(t, o), open(t, o)
	defer writer.Close()
	defer reader.Close()
	const n = 2000 // several pages
	for i := range n {
		if ok, err := swapOne(writer, fmt.Sprint("key ", i), 0, sessionOf(1, 1_000_000_000)); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	remembered := func() string {
		return regexp.MustCompile(`tracking_total_items:\d+`).FindString(server.Do("INFO", "stats"))
	}
	before := remembered()
	seen := map[string]bool{}
	if err := reader.Scan(t.Context(), func(key string, _ *session.Session) error { seen[key] = true; return nil }); err != nil || len(seen) != n {
		t.Errorf("%d sessions, %v", len(seen), err)
	}
	if after := remembered(); before == "" || after != before {
		t.Errorf("%s, before %s", after, before)
	}
}

// The absence of a session is cached too, until there is one.
func TestAbsenceIsKept(t *testing.T) {
	server := redistest.Start(t)
	tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}})
	for i := range 20 {
		key := fmt.Sprint("key ", i)
		send(t, tables[1], key, session.Other)
		free(t, server, "events of an unknown key", func() {
			for range 10 {
				send(t, tables[1], key, session.Other)
			}
		})
		awaitID(t, tables[1], key, send(t, tables[0], key, session.Start).SessionID)
	}
}

// Deletions by an administrator, or by expiry, are noticed as well.
func TestRemovalsAreNoticed(t *testing.T) {
	server := redistest.Start(t)
	const prefix = "removed:"
	// In its own database, for FLUSHDB.
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL() + "/3"}, Prefix: prefix})[0]
	in3 := func(command ...string) {
		args := append([]string{"EVAL", "redis.call('SELECT', 3); return redis.call(unpack(ARGV))", "0"}, command...)
		server.Do(args...)
	}
	for name, remove := range map[string]func(){
		"FLUSHALL":           func() { server.Do("FLUSHALL") },
		"FLUSHALL ASYNC":     func() { server.Do("FLUSHALL", "ASYNC") },
		"FLUSHDB":            func() { in3("FLUSHDB") },
		"DEL":                func() { in3("DEL", prefix+"key") },
		"UNLINK":             func() { in3("UNLINK", prefix+"key") },
		"expiry":             func() { in3("PEXPIRE", prefix+"key", "1") },
		"expiry in the past": func() { in3("PEXPIREAT", prefix+"key", "1") },
		"RENAME":             func() { in3("RENAME", prefix+"key", "away") },
	} {
		t.Run(name, func(t *testing.T) {
			awaitID(t, table, "key", send(t, table, "key", session.Start).SessionID)
			remove()
			awaitID(t, table, "key", 0)
			// Once more, after the deletion was noticed.
			awaitID(t, table, "key", send(t, table, "key", session.Start).SessionID)
			remove()
			awaitID(t, table, "key", 0)
		})
	}
}

// The cache is emptied when a connection is lost: notifications of changes may have been
// missed.
func TestLostConnectionEmptiesTheCache(t *testing.T) {
	server := redistest.Start(t)
	prefix := freshPrefix()
	b := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})[0]
	proxy := redistest.StartProxy(t, server)
	a := openTables(t, 1, redisstore.Options{URLs: []string{proxy.URL()}, Prefix: prefix})[0]
	for range 20 {
		send(t, b, "key", session.Start)
		send(t, a, "key", session.Other)
		proxy.Refuse()
		redistest.Await(t, "the cache is empty", func() bool { return a.Len() == 0 })
		id := send(t, b, "key", session.Start).SessionID
		proxy.Accept()
		// A table that cannot read answers with an error, not with an old state.
		redistest.Await(t, "the store is asked again", func() bool {
			d, err := apply(a, "key", message(session.Other))
			if err == nil && d.SessionID != id {
				t.Fatalf("session %d after the connection was lost, not %d", d.SessionID, id)
			}
			return err == nil
		})
	}
}

// The same holds if Redis closes the connection.
func TestKilledConnectionEmptiesTheCache(t *testing.T) {
	server := redistest.Start(t)
	tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}})
	a, b := tables[0], tables[1]
	for range 20 {
		send(t, b, "key", session.Start)
		send(t, a, "key", session.Other)
		for _, line := range strings.Split(server.Do("CLIENT", "LIST"), "\n") {
			if strings.Contains(line, "name=rudder_session ") {
				id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
				server.Do("CLIENT", "KILL", "ID", id)
			}
		}
		redistest.Await(t, "the caches are empty", func() bool { return a.Len() == 0 && b.Len() == 0 })
		id := send(t, b, "key", session.Start).SessionID
		if got := send(t, a, "key", session.Other).SessionID; got != id {
			t.Fatalf("session %d after the connection was lost, not %d", got, id)
		}
	}
}

// Redis may drop a key from its tracking table to save memory. It notifies the readers,
// whichever client's command caused it.
func TestUntrackedReadersAreNotified(t *testing.T) {
	server := redistest.Start(t, "--tracking-table-max-keys", "20")
	tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}})
	const keys = 200
	for i := range keys {
		send(t, tables[0], fmt.Sprint("key ", i), session.Other)
	}
	for i := range keys {
		key := fmt.Sprint("key ", i)
		awaitID(t, tables[0], key, send(t, tables[1], key, session.Start).SessionID)
	}
}

// After a change that failed, or whose outcome is unknown, the next changes by others
// are still noticed.
func TestFailedChangesHideNothing(t *testing.T) {
	server := redistest.Start(t)
	const prefix = "rudder_session:"
	addUser(t, server, "caddy", prefix, rights...)
	proxy := redistest.StartProxy(t, server)
	a := openTables(t, 1, redisstore.Options{URLs: []string{proxy.URL()}, Prefix: prefix, Username: "caddy", Password: secret})[0]
	b := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})[0]
	for name, spoil := range map[string]func(key string){
		"refused by rights": func(key string) {
			server.Do("ACL", "SETUSER", "caddy", "-evalsha")
			if _, err := apply(a, key, message(session.Start)); err == nil {
				t.Error("a change without the right to it is done")
			}
			server.Do("ACL", "SETUSER", "caddy", "+evalsha")
		},
		"refused in the script": func(key string) {
			server.Do("ACL", "SETUSER", "caddy", "-set")
			if _, err := apply(a, key, message(session.Start)); err == nil {
				t.Error("a change without the right to it is done")
			}
			server.Do("ACL", "SETUSER", "caddy", "+set")
		},
		"an unknown script": func(key string) {
			server.Do("SCRIPT", "FLUSH")
			send(t, a, key, session.Start)
		},
		"contended": func(key string) {
			sessiontest.Together(4, func(i int) { send(t, []*Table{a, b}[i%2], key, session.Start) })
		},
		"an answer that is cut off": func(key string) {
			proxy.CutAfter(redistest.Answers, 10)
			send(t, a, key, session.Start)
			proxy.CutAfter(redistest.Answers, -1)
		},
		"a caller that goes away": func(key string) {
			proxy.Hold(redistest.Answers)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			e, d := message(session.Start), [1]session.Decision{}
			if err := a.Apply(ctx, key, request(e.Times.Original, &policy, []session.Event{e}), d[:]); err == nil {
				t.Error("an answer that is held back has come")
			}
			proxy.Release(redistest.Answers)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 20 {
				key := fmt.Sprint(name, i)
				spoil(key)
				// This read is cached, so that a change must be reported.
				send(t, a, key, session.Other)
				for range 3 {
					id := send(t, b, key, session.Start).SessionID
					send(t, b, key, session.Other)
					awaitID(t, a, key, id)
				}
				send(t, b, key, session.End)
				awaitID(t, a, key, 0)
			}
		})
	}
}
