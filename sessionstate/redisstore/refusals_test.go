package redisstore_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// wantRefusal checks for an error of Redis itself, which does not mean that the server
// is down.
func wantRefusal(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || isDown(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// A server that is out of memory refuses writes, and answers everything else.
func TestServerIsFull(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	var seen states
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Log: seen.log()})[0]
	id := send(t, table, "key", session.Start).SessionID
	send(t, table, "key", session.Other)
	send(t, table, "uncached", session.End)
	server.Do("SET", "ballast", strings.Repeat("x", 1<<20))
	server.Do("CONFIG", "SET", "maxmemory", "1mb")
	for range 10 {
		_, err := apply(table, "key", message(session.Start))
		wantRefusal(t, "startSession", err, "OOM")
		_, err = apply(table, "new", message(session.Start))
		wantRefusal(t, "startSession of a new key", err, "OOM")
		if d := send(t, table, "key", session.Other); d.SessionID != id {
			t.Errorf("an event of a known session: %+v", d)
		}
		if d := send(t, table, "uncached", session.Other); d.Action != session.Clear {
			t.Errorf("an event of an ended session: %+v", d)
		}
		if d := send(t, table, "new", session.Other); d != (session.Decision{}) {
			t.Errorf("an event of an unknown key: %+v", d)
		}
	}
	server.Do("DEL", "ballast")
	server.Do("CONFIG", "SET", "maxmemory", "0")
	awaitID(t, table, "new", send(t, table, "new", session.Start).SessionID)
	if down, _, _ := seen.get(); down != 0 {
		t.Errorf("the server was said to be down %d times", down)
	}
}

// Evictions by Redis are noticed, whichever client's command caused them.
func TestEvictionsAreNoticed(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "allkeys-random")
	const prefix = "evicted:"
	tables := openTables(t, 2, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})
	const keys = 200
	for i := range keys {
		send(t, tables[0], fmt.Sprint("key ", i), session.Start)
		send(t, tables[0], fmt.Sprint("key ", i), session.Other)
	}
	used, _, _ := strings.Cut(server.Do("INFO", "memory"), "\r\nused_memory_human")
	used = used[strings.LastIndex(used, ":")+1:]
	bound, err := strconv.Atoi(used)
	if err != nil {
		t.Fatal(err)
	}
	server.Do("CONFIG", "SET", "maxmemory", strconv.Itoa(bound+200_000))
	var gone []string
	for i := 0; len(gone) < 20; i++ {
		// Each needs a little more memory than there is.
		if _, err := apply(tables[0], fmt.Sprint("more ", i), message(session.Start)); err != nil {
			t.Fatal(err)
		}
		if i%500 != 499 {
			continue
		}
		gone = nil
		for i := range keys {
			key := fmt.Sprint("key ", i)
			if server.Do("EXISTS", prefix+key) == "0" {
				gone = append(gone, key)
			}
		}
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	for _, key := range gone {
		awaitID(t, tables[0], key, send(t, tables[1], key, session.Start).SessionID)
	}
}

// A replica answers reads, and refuses writes.
func TestReplica(t *testing.T) {
	master := redistest.Start(t)
	prefix := freshPrefix()
	at := openTables(t, 1, redisstore.Options{URLs: []string{master.URL()}, Prefix: prefix})[0]
	id := send(t, at, "key", session.Start).SessionID
	send(t, at, "key", session.Other)
	replica := redistest.StartReplica(t, master)
	table := openTables(t, 1, redisstore.Options{URLs: []string{replica.URL()}, Prefix: prefix})[0]
	for range 10 {
		_, err := apply(table, "key", message(session.Start))
		wantRefusal(t, "startSession", err, "READONLY")
		if d := send(t, table, "key", session.Other); d.SessionID != id {
			t.Errorf("an event of a known session: %+v", d)
		}
	}
	// A write at the master reaches a reader of the replica.
	id = send(t, at, "key", session.Start).SessionID
	send(t, at, "key", session.Other) // carries the start mark, which is a write
	awaitID(t, table, "key", id)
	// A server that becomes a replica while it is used, and a master again.
	server := redistest.Start(t)
	table = openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})[0]
	send(t, table, "key", session.Start)
	host, port, _ := strings.Cut(master.Addr, ":")
	server.Do("REPLICAOF", host, port)
	redistest.Await(t, "writes are refused", func() bool {
		_, err := apply(table, "key", message(session.Start))
		return err != nil && strings.Contains(err.Error(), "READONLY")
	})
	current := send(t, at, "key", session.Start).SessionID
	send(t, at, "key", session.Other)
	redistest.Await(t, "the new master's sessions hold", func() bool {
		d, err := apply(table, "key", message(session.Other))
		return err == nil && d.SessionID == current
	})
	server.Do("REPLICAOF", "NO", "ONE")
	awaitWell(t, table)
	awaitID(t, table, "key", current)
}

// A server that is loading its file answers with errors until it has finished.
func TestServerIsLoading(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes",
		"--key-load-delay", "0", "--loading-process-events-interval-bytes", "1024")
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}})[0]
	id := send(t, table, "key", session.Start).SessionID
	send(t, table, "key", session.Other)
	server.Do("EVAL", "for i = 1, 5000 do redis.call('SET', 'ballast:' .. i, string.rep('x', 100)) end return 1", "0")
	// It handles requests every 1024 keys, and each key is delayed.
	server.Do("CONFIG", "SET", "key-load-delay", "200")
	loaded := make(chan error)
	go func() {
		_, err := server.Try("DEBUG", "LOADAOF")
		loaded <- err
	}()
	redistest.Await(t, "a call is refused", func() bool {
		_, err := apply(table, "other", message(session.Start))
		return err != nil && strings.Contains(err.Error(), "LOADING")
	})
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	awaitWell(t, table)
	awaitID(t, table, "key", id)
}

// Calls wait for a server that runs a long command.
func TestServerIsBusy(t *testing.T) {
	server := redistest.Start(t, "--enable-debug-command", "yes")
	var seen states
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Log: seen.log()})[0]
	done := make(chan error)
	go func() {
		_, err := server.Try("DEBUG", "SLEEP", "0.3")
		done <- err
	}()
	for range 20 {
		awaitID(t, table, "key", send(t, table, "key", session.Start).SessionID)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if down, _, _ := seen.get(); down != 0 {
		t.Errorf("the server was said to be down %d times", down)
	}
}

// While another client's script does not end, Redis refuses everything but commands
// that kill it.
func TestServerRunsAScript(t *testing.T) {
	server := redistest.Start(t, "--busy-reply-threshold", "10")
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}})[0]
	id := send(t, table, "key", session.Start).SessionID
	done := make(chan error)
	go func() {
		_, err := server.Try("EVAL", "while true do end", "0")
		done <- err
	}()
	redistest.Await(t, "a call is refused", func() bool {
		_, err := apply(table, "new", message(session.Start))
		if err != nil && !strings.Contains(err.Error(), "BUSY") {
			t.Errorf("a call while a script runs: %v", err)
		}
		return err != nil
	})
	server.Do("SCRIPT", "KILL")
	if err := <-done; err == nil {
		t.Error("the script came to an end")
	}
	awaitID(t, table, "key", id)
	awaitID(t, table, "new", send(t, table, "new", session.Start).SessionID)
}

// The value of a key may not be a session that this version knows: a later version, or
// another program, may have written it.
func TestForeignValues(t *testing.T) {
	server := redistest.Start(t)
	const prefix = "foreign:"
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})[0]
	for name, c := range map[string]struct {
		value string
		want  error
	}{
		"empty":          {"", session.ErrFormat},
		"text":           {"hello", session.ErrFormat},
		"a later format": {string(rune(session.ReadFormat+1)) + strings.Repeat("\x00", 20), session.ErrNewer},
		"cut off":        {string(rune(session.WriteFormat)) + strings.Repeat("\x00", 9), session.ErrFormat},
	} {
		value := c.value
		server.Do("SET", prefix+name, value)
		for _, kind := range []session.Kind{session.Other, session.Start, session.End} {
			if _, err := apply(table, name, message(kind)); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := server.Do("GET", prefix+name); got != value {
			t.Errorf("%s: there is %q now", name, got)
		}
	}
	server.Do("LPUSH", prefix+"list", "1")
	for _, kind := range []session.Kind{session.Other, session.Start, session.End} {
		_, err := apply(table, "list", message(kind))
		wantRefusal(t, "a list", err, "WRONGTYPE")
	}
}
