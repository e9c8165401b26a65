package filestore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// TestSetAsideAgain: files that were set aside are kept, even if several are set aside
// within one second.
func TestSetAsideAgain(t *testing.T) {
	path := newPath(t)
	var asides []string
	for i := range 5 {
		write(t, path, fmt.Append(nil, "text ", i))
		s, err := filestore.Open(path, filestore.Log{SetAside: func(_, as string, _ error) { asides = append(asides, as) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for i, as := range asides {
		unchanged(t, as, fmt.Append(nil, "text ", i))
	}
	found, err := filepath.Glob(path + ".unreadable-*")
	slices.Sort(asides)
	if slices.Sort(found); err != nil || len(found) != 5 || !slices.Equal(found, asides) {
		t.Errorf("set aside %q, told %q, %v", found, asides, err)
	}
}

// TestSetAsideWithoutLog: a file is set aside without a log function, too.
func TestSetAsideWithoutLog(t *testing.T) {
	path := newPath(t)
	write(t, path, []byte("text"))
	s, err := filestore.Open(path, filestore.Log{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	holds(t, s, nil)
}

// TestNewer: a file that a later version has written stays as it is.
func TestNewer(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	fill(t, s, 0, 100, 0, 1)
	closeOnce(t, s)
	set := func(schema uint32) {
		t.Helper()
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(filestore.MetaBucket).Put(filestore.SchemaKey, binary.BigEndian.AppendUint32(nil, schema))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, schema := range []uint32{filestore.Schema + 1, filestore.Schema + 2, 1 << 31} {
		set(schema)
		before := read(t, path)
		_, err := filestore.Open(path, quiet(t))
		if !errors.Is(err, filestore.ErrNewer) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), fmt.Sprint(schema)) {
			t.Errorf("schema %d: %v", schema, err)
		}
		unchanged(t, path, before)
	}
	// The file is not left locked.
	set(filestore.Schema)
	holds(t, mustOpen(t, path), filled(0, 100, 1))
}
