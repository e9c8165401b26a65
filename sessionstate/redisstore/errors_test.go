package redisstore_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// secretKey must not be in any error.
const secretKey = "anonymous-id-4711"

// errorsOf calls all methods of a store, and returns the errors.
func errorsOf(t *testing.T, o redisstore.Options) (all []error) {
	t.Helper()
	var mu sync.Mutex
	note := func(err error) {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, err)
		}
	}
	o.Log.Down = note
	store := open(t, o)
	defer store.Close()
	_, err := store.Get(t.Context(), secretKey)
	note(err)
	for range 2 {
		_, err = swapOne(store, secretKey, 0, sessionOf(1, 1_000_000_000))
		note(err)
		note(store.Delete(t.Context(), secretKey))
		note(store.Scan(t.Context(), func(string, *session.Session) error { return nil }))
	}
	mu.Lock()
	defer mu.Unlock()
	return append([]error(nil), all...)
}

// checkPlain checks that there are errors, and that none repeats what was sent.
func checkPlain(t *testing.T, all []error, least int) {
	t.Helper()
	if len(all) < least {
		t.Errorf("%d errors, not %d: %v", len(all), least, all)
	}
	for _, err := range all {
		for e := err; e != nil; e = errors.Unwrap(e) {
			text := strings.ToLower(fmt.Sprintf("%v %+v %q", e, e, e))
			for _, part := range []string{secretKey, secret, "\x00", "with args"} {
				if strings.Contains(text, strings.ToLower(part)) {
					t.Errorf("an error repeats %q: %v", part, e)
				}
			}
		}
	}
}

// A server that does not know a command repeats its arguments, keys and passwords
// among them.
func TestUnknownCommandsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"GET", "EVALSHA", "DEL", "SCAN", "ROLE", "TIME", "HELLO", "AUTH", "CLIENT"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--rename-command", command, "")
			if command != "AUTH" && command != "HELLO" && command != "CLIENT" {
				server.Do("ACL", "SETUSER", "caddy", "on", ">"+secret, "~*", "+@all")
			}
			for _, strict := range []bool{false, true} {
				all := errorsOf(t, redisstore.Options{
					URLs: []string{server.URL()}, Prefix: "errors:", Username: "caddy", Password: secret, Strict: strict,
				})
				checkPlain(t, all, 1)
			}
		})
	}
}

// The server may not be a Redis at all.
func TestForeignAnswersAreNotRepeated(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"an error with all that was sent": "-ERR unknown command, with args beginning with: %s\r\n",
		"an error without a code":         "-%s\r\n",
		"a code of its own":               "-%[1]s %[1]s\r\n",
		"text":                            "+%s\r\n",
		"HTTP":                            "HTTP/1.1 400 Bad Request\r\nX-Echo: %s\r\n\r\n",
		"a number that is none":           ":%s\r\n",
		"nothing":                         "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := errorsOf(t, redisstore.Options{
				URLs: []string{"redis://" + echo(t, answer)}, Prefix: "errors:", Username: "caddy", Password: secret,
			})
			checkPlain(t, all, 1)
		})
	}
}

// echo answers each line with a text that contains it.
func echo(t *testing.T, answer string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				lines := bufio.NewScanner(conn)
				for said := secretKey + secret; lines.Scan(); {
					said += " " + lines.Text()
					if answer == "" {
						return
					}
					if strings.HasPrefix(lines.Text(), "*") {
						fmt.Fprintf(conn, answer, said)
					}
				}
			})
		}
	})
	return l.Addr().String()
}
