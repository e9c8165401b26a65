package filestore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/internal/sessiontest"
	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// clean waits until a file does not contain these ids anywhere.
func clean(t *testing.T, s *filestore.Store, path string, ids ...string) {
	t.Helper()
	await(t, "free pages are overwritten", func() bool { return !filestore.ToScrub(s) })
	content := read(t, path)
	for _, id := range ids {
		if n := bytes.Count(content, []byte(id)); n > 0 {
			t.Errorf("%q is %d times in the file", id, n)
		}
	}
}

// TestForgottenLeavesNothing: a forgotten session leaves no bytes in the file, even if
// it was on several pages over time.
func TestForgottenLeavesNothing(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	fill(t, s, 0, 3000, 0, 1)
	for version := range uint64(5) {
		for i := 0; i < 3000; i += 100 {
			if err := swap(s, key(i+int(version)), 1, sessionOf(i+int(version), 2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var gone []string
	for i := 50; i < 3000; i += 100 {
		gone = append(gone, key(i))
		if err := s.Delete(t.Context(), key(i)); err != nil {
			t.Fatal(err)
		}
	}
	clean(t, s, path, gone...)
	for i := range 3000 {
		if v, err := s.Get(t.Context(), key(i)); err != nil || (v == nil) != slices.Contains(gone, key(i)) {
			t.Fatalf("session %d: %v, %v", i, v, err)
		}
	}
	closeOnce(t, s)
	if got := len(all(t, mustOpen(t, path))); got != 3000-len(gone) {
		t.Errorf("%d sessions", got)
	}
}

// TestTracesOfWhatWasForgottenBefore: sessions that were removed for their age leave no
// bytes either.
func TestTracesOfWhatWasForgottenBefore(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	fill(t, s, 0, 500, 0, 1)
	s.Retain(1)
	if n, err := s.Sweep(t.Context(), base+int64(time.Hour/time.Millisecond)); n != 500 || err != nil {
		t.Fatal(n, err)
	}
	clean(t, s, path, key(7), key(300))
	// From then on it is done once a day, and when a key that does not exist is
	// forgotten.
	fill(t, s, 0, 500, 0, 1)
	if n, err := s.Sweep(t.Context(), base+int64(time.Hour/time.Millisecond)); n != 500 || err != nil {
		t.Fatal(n, err)
	}
	if err := s.EraseTraces(t.Context()); err != nil {
		t.Fatal(err)
	}
	clean(t, s, path, key(7), key(300))
}

// TestTracesAfterACrash: bytes that could not be overwritten before a crash are
// overwritten when the file is opened again.
func TestTracesAfterACrash(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	fill(t, s, 0, 1000, 0, 1)
	closeOnce(t, s)
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(filestore.SessionsBucket).Delete([]byte(key(5))); err != nil {
			return err
		}
		return tx.Bucket(filestore.MetaBucket).Put(filestore.ScrubKey, []byte{0, 0, 0, 0, 0, 0, 0, 9})
	}))
	must(t, db.Close())
	if !bytes.Contains(read(t, path), []byte(key(5))) {
		t.Fatal("it left no traces")
	}
	clean(t, mustOpen(t, path), path, key(5))
}

// TestOverwritingSparesReaders: concurrent reads and writes are not affected.
func TestOverwritingSparesReaders(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	const n = 2000
	fill(t, s, 0, n, 0, 1)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		sessiontest.Together(4, func(w int) {
			for version := session.Version(1); !stop.Load(); version++ {
				for i := w; i < 40; i += 4 {
					if err := swap(s, key(i), version, sessionOf(i, version+1)); err != nil {
						t.Error(err)
						return
					}
				}
				for i := range n {
					if v, err := s.Get(context.Background(), key(i)); err != nil || i >= 40 && v == nil {
						t.Errorf("%v, %v", v, err)
						return
					}
				}
				if len(all(t, s)) != n {
					t.Error("not all are there")
				}
			}
		})
	}()
	for range 20 {
		if err := s.Scrub(t.Context()); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	<-done
	closeOnce(t, s)
	if len(all(t, mustOpen(t, path))) != n {
		t.Error("not all are there")
	}
}

// TestSetAsideGoes: files that were set aside are listed, and are deleted on request or
// when they are too old.
func TestSetAsideGoes(t *testing.T) {
	path := newPath(t)
	old := path + ".unreadable-" + time.Now().Add(-48*time.Hour).UTC().Format("20060102T150405Z")
	for _, name := range []string{old, old + "-1"} {
		write(t, name, []byte("ids"))
	}
	foreign := []string{path + ".unreadable-copy", filepath.Join(filepath.Dir(path), "other.db.unreadable-20200101T000000Z")}
	for _, name := range foreign {
		write(t, name, []byte("not ours"))
	}
	write(t, path, []byte("text"))
	var removed []string
	s, err := filestore.Open(path, filestore.Log{Removed: func(path string) { removed = append(removed, path) }})
	must(t, err)
	defer s.Close()
	found, err := s.SetAside()
	if err != nil || len(found) != 3 || !slices.Contains(found, old) {
		t.Errorf("set aside %q, %v", found, err)
	}
	s.KeepSetAside(24 * time.Hour)
	await(t, "the old ones are gone", func() bool {
		found, err = s.SetAside()
		return err == nil && len(found) == 1
	})
	if gone, err := s.RemoveSetAside(); err != nil || !slices.Equal(gone, found) {
		t.Errorf("removed %q, %v", gone, err)
	}
	if found, err = s.SetAside(); err != nil || len(found) > 0 {
		t.Errorf("set aside %q, %v", found, err)
	}
	for _, name := range foreign {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	must(t, s.Close())
	if fmt.Sprint(removed) != fmt.Sprint([]string{old, old + "-1"}) {
		t.Errorf("told %q", removed)
	}
	s, err = filestore.Open(path, quiet(t))
	must(t, err)
}
