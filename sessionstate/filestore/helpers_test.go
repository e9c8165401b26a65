package filestore_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	. "github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// base is a time in Unix milliseconds.
const base int64 = 1_800_000_000_000

// sessionOf is a session that a control call has begun and an event has joined. It is
// different for each number and version.
func sessionOf(n int, version session.Version) *session.Session {
	from := base + int64(n)
	return &session.Session{Version: version, Seen: from + int64(version), Segments: []session.Segment{{
		From: session.At(from), ID: from, Mode: session.Manual,
		Mark: session.MessageID(n)<<32 | session.MessageID(version) | 1<<63, Cause: session.MessageID(n)<<32 | 1<<62, User: session.UserID(n) | 1<<61, UserAt: session.At(from + 5),
	}}}
}

// key has the usual length of keys: a write key and a UUID.
func key(n int) string {
	return fmt.Sprintf("2ZQgDcQUXDUvPzgHH9YSMWIiPoT\x00a%08x-3c4f-4b1e-9d2a-%012x", uint32(n)*2654435761, n)
}

// newPath is the path of a file that does not exist yet.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "sessions.db") }

// quiet is a log that fails the test for every message.
func quiet(t testing.TB) filestore.Log {
	return filestore.Log{
		SetAside: func(path, as string, why error) { t.Errorf("%s was set aside as %s: %v", path, as, why) },
		Sweep:    func(err error) { t.Errorf("sweep: %v", err) },
	}
}

// mustOpen opens a sound file, and closes it at the end of the test.
func mustOpen(t testing.TB, path string) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(path, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOnce(t, s) })
	return s
}

// closedStores has the stores that a test has closed before its end.
var closedStores sync.Map

func closeOnce(t testing.TB, s *filestore.Store) {
	t.Helper()
	if _, closed := closedStores.LoadOrStore(s, true); closed {
		return
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func swap(s *filestore.Store, key string, old session.Version, next *session.Session) error {
	return swapWith(context.Background(), s, key, old, next)
}

func swapWith(ctx context.Context, s *filestore.Store, key string, old session.Version, next *session.Session) error {
	change := []Swap{{Key: key, Old: old, Next: next}}
	s.CompareAndSwap(ctx, change)
	if change[0].Err == nil && !change[0].Done {
		return fmt.Errorf("%q has not version %d", key, old)
	}
	return change[0].Err
}

// fill writes the sessions from, from+1, … to-1, in place of version old.
func fill(t testing.TB, s *filestore.Store, from, to int, old, version session.Version) {
	t.Helper()
	for from < to {
		n := min(to-from, 1000)
		changes := make([]Swap, n)
		for i := range changes {
			changes[i] = Swap{Key: key(from + i), Old: old, Next: sessionOf(from+i, version)}
		}
		s.CompareAndSwap(context.Background(), changes)
		for i := range changes {
			if !changes[i].Done || changes[i].Err != nil {
				t.Fatalf("session %d: %v, %v", from+i, changes[i].Done, changes[i].Err)
			}
		}
		from += n
	}
}

// all returns what the store has.
func all(t testing.TB, s *filestore.Store) map[string]*session.Session {
	t.Helper()
	found := map[string]*session.Session{}
	err := s.Scan(context.Background(), func(key string, v *session.Session) error {
		found[key] = v
		return nil
	})
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return found
}

func holds(t testing.TB, s *filestore.Store, want map[string]*session.Session) {
	t.Helper()
	found := all(t, s)
	for key := range maps.Keys(want) {
		got, err := s.Get(context.Background(), key)
		if err != nil {
			t.Fatalf("get: %v", err)
		}
		if !sessiontest.Same(got, want[key]) || !sessiontest.Same(found[key], want[key]) {
			t.Fatalf("%q:\n got   %+v\n found %+v\n want  %+v", key, got, found[key], want[key])
		}
	}
	if len(found) != len(want) {
		t.Fatalf("%d sessions, want %d", len(found), len(want))
	}
}

// filled is what a store has after fill.
func filled(from, to int, version session.Version) map[string]*session.Session {
	sessions := map[string]*session.Session{}
	for n := from; n < to; n++ {
		sessions[key(n)] = sessionOf(n, version)
	}
	return sessions
}

// await polls until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("in a minute it did not come about that %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// unchanged checks that a file has the same bytes.
func unchanged(t testing.TB, path string, want []byte) {
	t.Helper()
	if got := read(t, path); !bytes.Equal(got, want) {
		t.Errorf("%s has changed: %d bytes, before %d", path, len(got), len(want))
	}
}

// original returns the timestamps of a message with an originalTimestamp and no sentAt.
func original(at int64) session.Timestamps {
	return session.Timestamps{Original: at, HasOriginal: true}
}

func request(now int64, p *session.Policy, events []session.Event) *session.Request {
	return &session.Request{Received: now, Policy: p, Events: events}
}
