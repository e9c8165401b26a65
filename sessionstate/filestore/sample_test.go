package filestore_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// sample is a file after many changes: its pages are in no order, and some of them are
// free.
type sample struct {
	bytes []byte
	// sessions has each state that a key was ever in, by version.
	sessions map[string]map[session.Version]*session.Session
	// now has the sessions that are in the file.
	now map[string]*session.Session
}

func newSample(t testing.TB, n int) *sample {
	t.Helper()
	path := newPath(t)
	s := mustOpen(t, path)
	fill(t, s, 0, n, 0, 1)
	fill(t, s, n/4, n, 1, 2)
	for i := range n / 4 {
		if err := s.Delete(context.Background(), key(i)); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, s, n/2, n, 2, 3)
	fill(t, s, n, n+n/4, 0, 1)
	f := &sample{now: all(t, s), sessions: map[string]map[session.Version]*session.Session{}}
	closeOnce(t, s)
	f.bytes = read(t, path)
	for i := range n + n/4 {
		f.sessions[key(i)] = map[session.Version]*session.Session{}
		for version := range session.Version(3) {
			f.sessions[key(i)][version+1] = sessionOf(i, version+1)
		}
	}
	return f
}

// found is the result of opening a damaged file.
type found struct {
	aside bool
	lost  int // sessions that are missing although the file is served
}

// reopen opens a damaged copy of the sample. Either it is served: then each session in
// it was once written, all can be read, and new sessions can be written and read. Or it
// is set aside with the same bytes, which is reported once, and the store is empty.
func (f *sample) reopen(t testing.TB, damaged []byte) (out found) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sessions.db")
	write(t, path, damaged)
	var asides []string
	var reason error
	log := filestore.Log{SetAside: func(was, as string, why error) {
		if was != path || filepath.Dir(as) != dir || why == nil {
			t.Errorf("%s set aside as %s: %v", was, as, why)
		}
		asides, reason = append(asides, as), why
	}}
	s, err := filestore.Open(path, log)
	if errors.Is(err, filestore.ErrNewer) && len(asides) == 0 {
		// The damage is in a version number: nothing is lost.
		unchanged(t, path, damaged)
		return out
	}
	if err != nil {
		t.Errorf("open: %v", err)
		return out
	}
	if len(asides) > 1 {
		t.Errorf("set aside %d times", len(asides))
	}
	if out.aside = len(asides) > 0; out.aside {
		unchanged(t, asides[0], damaged)
		holds(t, s, nil)
	}
	f.served(t, s, &out)
	// Writes do not overwrite pages that are in use.
	const more = 1_000_000
	fill(t, s, more, more+100, 0, 1)
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	asides = nil
	if s, err = filestore.Open(path, log); err != nil {
		t.Errorf("open again: %v", err)
		return out
	}
	defer s.Close()
	if len(asides) > 0 {
		t.Errorf("it was set aside later: %v", reason)
		return out
	}
	again := out
	f.served(t, s, &again)
	if again.lost != out.lost {
		t.Errorf("%d sessions lost, later %d", out.lost, again.lost)
	}
	for i := more; i < more+100; i++ {
		if got, err := s.Get(context.Background(), key(i)); err != nil || !sessiontest.Same(got, sessionOf(i, 1)) {
			t.Errorf("written later: %+v, %v", got, err)
			break
		}
	}
	return out
}

// served reads all sessions, by Scan and by Get.
func (f *sample) served(t testing.TB, s *filestore.Store, out *found) {
	t.Helper()
	out.lost = 0
	listed := map[string]*session.Session{}
	if err := s.Scan(context.Background(), func(key string, v *session.Session) error {
		if _, twice := listed[key]; twice {
			t.Errorf("%q is there twice", key)
		}
		listed[key] = v
		return nil
	}); err != nil {
		t.Errorf("scan: %v", err)
	}
	wrong := 0
	for _, name := range slices.Sorted(maps.Keys(f.now)) {
		got, err := s.Get(context.Background(), name)
		if err != nil {
			t.Errorf("get %q: %v", name, err)
			return
		}
		if got == nil {
			out.lost++
		} else if !sessiontest.Same(got, f.sessions[name][got.Version]) {
			wrong++
		}
		if !sessiontest.Same(got, listed[name]) {
			t.Errorf("%q is %+v, listed as %+v", name, got, listed[name])
		}
	}
	for name, v := range listed {
		if f.sessions[name] != nil && !sessiontest.Same(v, f.sessions[name][v.Version]) {
			wrong++
		} else if f.sessions[name] == nil && v.Segments != nil && v.Segments[0].ID < base+1_000_000 {
			t.Errorf("a session of nobody: %q", name)
		}
	}
	if wrong > 0 {
		t.Errorf("%d sessions are wrong", wrong)
	}
}
