package redisstore_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

const secret = "s3cret-w0rd"

// rights are the minimal rights of a user, for keys with a prefix: the commands of each
// connection, those for sessions, and those that the script runs.
var rights = []string{
	"+client|tracking", "+cluster|slots", "+ping", "+time", "+get", "+set", "+evalsha", "+eval",
}

// sentinelRights are needed in addition on servers behind Sentinels.
var sentinelRights = []string{"+role"}

// scanRights are needed in addition to inspect all sessions.
var scanRights = []string{"+del", "+scan", "+role"}

func addUser(t *testing.T, s *redistest.Server, name, prefix string, rights ...string) {
	t.Helper()
	s.Do(append([]string{"ACL", "SETUSER", name, "reset", "on", ">" + secret, "~" + prefix + "*"}, rights...)...)
}

// The documentation lists exactly these rights.
func TestRightsInDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindString(string(text))
	described := regexp.MustCompile(`\+\S+`).FindAllString(line, -1)
	needed := append(append([]string{}, rights...), scanRights...)
	slices.Sort(described)
	slices.Sort(needed)
	if !slices.Equal(described, needed) {
		t.Errorf("described are %v, needed %v", described, needed)
	}
}

// The rights are enough for sessions, and other commands are refused.
func TestLeastRights(t *testing.T) {
	server := redistest.Start(t)
	const prefix = "rudder_session:"
	addUser(t, server, "caddy", prefix, rights...)
	for consistency, strict := range map[string]bool{"eventual": false, "strict": true} {
		t.Run(consistency, func(t *testing.T) {
			o := redisstore.Options{URLs: []string{server.URL()}, Username: "caddy", Password: secret, Prefix: prefix, Strict: strict}
			tables := openTables(t, 2, o)
			for range 5 {
				awaitID(t, tables[1], "key", send(t, tables[0], "key", session.Start).SessionID)
				send(t, tables[1], "key", session.End)
				awaitID(t, tables[0], "key", 0)
			}
			if denied := server.Do("ACL", "LOG"); denied != "" {
				t.Errorf("what was refused: %s", denied)
			}
			o.Prefix = "other:"
			other := openTables(t, 1, o)[0]
			_, err := apply(other, "key", message(session.Start))
			wantRefusal(t, "a prefix that is not the user's", err, "NOPERM")
			server.Do("ACL", "LOG", "RESET")
		})
	}
	addUser(t, server, "inspector", prefix, append(scanRights, rights...)...)
	store := open(t, redisstore.Options{URLs: []string{server.URL()}, Username: "inspector", Password: secret, Prefix: prefix})
	defer store.Close()
	seen := 0
	if err := store.Scan(t.Context(), func(string, *session.Session) error { seen++; return nil }); err != nil || seen != 1 {
		t.Errorf("%d sessions, %v", seen, err)
	}
	if err := store.Delete(t.Context(), "key"); err != nil {
		t.Error(err)
	}
}

// Without any one of the rights something fails.
func TestEachRightIsNeeded(t *testing.T) {
	server := redistest.Start(t)
	const prefix = "rudder_session:"
	for i, right := range rights {
		if right == "+cluster|slots" || right == "+ping" {
			// A single server works without these. A Cluster needs the first; a server
			// that is not reachable at first needs the second.
			continue
		}
		user := fmt.Sprint("user", i)
		rest := append(append([]string{}, rights[:i]...), rights[i+1:]...)
		addUser(t, server, user, prefix, rest...)
		server.Do("SCRIPT", "FLUSH")
		var seen states
		table := openTables(t, 1, redisstore.Options{
			URLs: []string{server.URL()}, Username: user, Password: secret, Prefix: prefix, Log: seen.log(),
		})[0]
		_, err := apply(table, right, message(session.Start))
		if isDown(err) {
			_, _, err = seen.get()
		}
		if err == nil {
			t.Errorf("without %s all is well", right)
			continue
		}
		if !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "can't run this command") {
			t.Errorf("without %s: %v", right, err)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("without %s the error holds the password: %v", right, err)
		}
	}
}

// A refused login is an error without any secret in it, and works once the server's
// configuration is corrected.
func TestWrongPassword(t *testing.T) {
	server := redistest.Start(t)
	addUser(t, server, "caddy", "", "allcommands")
	server.Do("ACL", "SETUSER", "caddy", "~*")
	server.Do("CONFIG", "SET", "requirepass", "another-"+secret)
	_, port, _ := strings.Cut(server.Addr, ":")
	as := func(user string) string { return "redis://" + user + "@127.0.0.1:" + port }
	for name, c := range map[string]struct {
		o    redisstore.Options
		want string
	}{
		"wrong password":         {redisstore.Options{URLs: []string{as("caddy:wrong-" + secret)}}, "WRONGPASS"},
		"unknown user":           {redisstore.Options{URLs: []string{as("nobody:" + secret)}}, "WRONGPASS"},
		"nobody":                 {redisstore.Options{URLs: []string{server.URL()}}, "NOAUTH"},
		"wrong default password": {redisstore.Options{URLs: []string{server.URL()}, Password: secret}, "WRONGPASS"},
		"overridden":             {redisstore.Options{URLs: []string{as("caddy:" + secret)}, Password: "wrong-" + secret}, "WRONGPASS"},
	} {
		t.Run(name, func(t *testing.T) {
			var seen states
			c.o.Log = seen.log()
			table := openTables(t, 1, c.o)[0]
			_, _, err := seen.get()
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if _, err := apply(table, "key", message(session.Start)); !isDown(err) || strings.Contains(err.Error(), secret) {
				t.Errorf("startSession: %v", err)
			}
		})
	}
	late := redistest.Start(t)
	var seen states
	table := openTables(t, 1, redisstore.Options{URLs: []string{late.URL()}, Username: "late", Password: secret, Log: seen.log()})[0]
	if down, _, _ := seen.get(); down != 1 {
		t.Error("an unknown user is let in")
	}
	late.Do("ACL", "SETUSER", "late", "on", ">"+secret, "~*", "+@all")
	seen.awaitUp(t)
	awaitID(t, table, "key", send(t, table, "key", session.Start).SessionID)
}

// Passwords may be in the URL or in options.
func TestCredentials(t *testing.T) {
	const odd = `p@ss:/?#[]%"' ` + secret
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "caddy", "reset", "on", ">"+odd, "~*", "+@all")
	_, port, _ := strings.Cut(server.Addr, ":")
	for name, o := range map[string]redisstore.Options{
		"beside the URL":       {URLs: []string{server.URL()}, Username: "caddy", Password: odd},
		"in the URL":           {URLs: []string{"redis://caddy:p%40ss%3A%2F%3F%23%5B%5D%25%22%27%20" + secret + "@127.0.0.1:" + port}},
		"in the place of both": {URLs: []string{"redis://nobody:wrong@127.0.0.1:" + port}, Username: "caddy", Password: odd},
		"the password alone":   {URLs: []string{"redis://caddy@127.0.0.1:" + port}, Password: odd},
	} {
		t.Run(name, func(t *testing.T) {
			tables := openTables(t, 2, o)
			awaitID(t, tables[1], "key", send(t, tables[0], "key", session.Start).SessionID)
		})
	}
}

// A user without the rights gets errors, and works again when the rights are back.
func TestRightsChange(t *testing.T) {
	server := redistest.Start(t)
	const prefix = "rudder_session:"
	addUser(t, server, "caddy", prefix, rights...)
	table := openTables(t, 1, redisstore.Options{URLs: []string{server.URL()}, Username: "caddy", Password: secret, Prefix: prefix})[0]
	id := send(t, table, "key", session.Start).SessionID
	server.Do("ACL", "SETUSER", "caddy", "-evalsha")
	for range 10 {
		_, err := apply(table, "key", message(session.Start))
		wantRefusal(t, "startSession", err, "NOPERM")
	}
	server.Do("ACL", "SETUSER", "caddy", "+evalsha")
	awaitID(t, table, "key", id)
	server.Do("ACL", "DELUSER", "caddy")
	redistest.Await(t, "the connection is lost", func() bool {
		_, err := apply(table, "key", message(session.Other))
		return err != nil
	})
	addUser(t, server, "caddy", prefix, rights...)
	awaitWell(t, table)
	awaitID(t, table, "key", id)
}
