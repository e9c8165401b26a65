package filestore_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// testdata has files that earlier commits have written, for these calls: a manual
// session of manual-device with two events; a session of ended-device that was ended;
// an identify of automatic-device; a manual session of the user carl.
// 3bbf990 writes format 1, 74b0f34 format 2, the others 3 where users are followed.

// earlier writes such a file.
func earlier(t *testing.T, packed string) (path string) {
	t.Helper()
	f, err := os.Open(packed)
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	content, err := io.ReadAll(z)
	must(t, err)
	path = newPath(t)
	write(t, path, content)
	return path
}

// TestEarlierFiles: a file of an earlier version is read, and its sessions continue.
func TestEarlierFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/sessions-*.db.gz")
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	for _, packed := range files {
		t.Run(packed, func(t *testing.T) {
			path := earlier(t, packed)
			s := mustOpen(t, path)
			manual := map[string]int64{"manual-device": 1732349999000, "carl": 1732349999002}
			found := map[string]bool{}
			for key, v := range all(t, s) {
				for _, id := range []string{"manual-device", "ended-device", "automatic-device", "carl"} {
					if !strings.HasSuffix(key, id) {
						continue
					}
					found[id] = true
					last := v.Segments[len(v.Segments)-1]
					switch {
					case manual[id] != 0 && (last.Mode != session.Manual || last.ID != manual[id]),
						id == "ended-device" && last.Mode != session.Ended,
						id == "automatic-device" && (last.Mode != session.Automatic || last.ID == 0 || last.Mark == 0 || last.User == 0),
						id == "manual-device" && (last.Mark == 0 || last.User == 0):
						t.Errorf("%s: %+v", id, v)
					}
				}
				next := *v
				next.Version++
				if err := swap(s, key, v.Version, &next); err != nil {
					t.Error(err)
				}
			}
			if len(found) != 4 {
				t.Errorf("there are %v", found)
			}
			before := all(t, s)
			closeOnce(t, s)
			holds(t, mustOpen(t, path), before)
		})
	}
}

// put changes a file as a later version might.
func put(t *testing.T, path string, change func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(change))
	must(t, db.Close())
}

// ofFormat is a session in an invented format, with its checksum.
func ofFormat(key string, format byte) []byte {
	value := append([]byte{format}, session.Append(nil, sessionOf(1, 7))[1:]...)
	sum := xxhash.Sum64(bytes.Join([][]byte{[]byte(key), value}, []byte{0}))
	return append(binary.LittleEndian.AppendUint32(nil, uint32(sum)), value...)
}

// TestLaterFiles: a file with anything from a later version is refused and stays as it
// is; it does not count as damaged.
func TestLaterFiles(t *testing.T) {
	schema := func(n uint32) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			return tx.Bucket(filestore.MetaBucket).Put(filestore.SchemaKey, binary.BigEndian.AppendUint32(nil, n))
		}
	}
	sessions := func(key string, value []byte) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(filestore.SessionsBucket).Put([]byte(key), value) }
	}
	for name, changes := range map[string][]func(tx *bbolt.Tx) error{
		"schema":                            {schema(filestore.Schema + 1)},
		"schema and sessions of no form":    {schema(filestore.Schema + 1), sessions(key(3), []byte("whatever")), sessions(key(4), nil)},
		"schema and sessions of its format": {schema(9), sessions(key(3), ofFormat(key(3), 9))},
		"a session of the next format":      {sessions(key(3), ofFormat(key(3), session.ReadFormat+1))},
		"a session of a later format":       {sessions(key(9000), ofFormat(key(9000), 31))},
		"schema without the sessions": {schema(filestore.Schema + 1), func(tx *bbolt.Tx) error {
			return tx.DeleteBucket(filestore.SessionsBucket)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			s := mustOpen(t, path)
			fill(t, s, 0, 100, 0, 1)
			closeOnce(t, s)
			for _, change := range changes {
				put(t, path, change)
			}
			content := read(t, path)
			for range 2 {
				s, err := filestore.Open(path, quiet(t))
				if err == nil {
					s.Close()
				}
				if !errors.Is(err, filestore.ErrNewer) || errors.Is(err, filestore.ErrDamaged) || !strings.Contains(err.Error(), path) {
					t.Errorf("error: %v", err)
				}
			}
			unchanged(t, path, content)
			if n := names(t, filepath.Dir(path)); len(n) != 1 {
				t.Errorf("there is now %q", n)
			}
		})
	}
	t.Run("and damage is damage", func(t *testing.T) {
		path := newPath(t)
		s := mustOpen(t, path)
		fill(t, s, 0, 100, 0, 1)
		closeOnce(t, s)
		value := ofFormat(key(3), session.ReadFormat+1)
		value[9]++
		put(t, path, sessions(key(3), value))
		asides := 0
		s, err := filestore.Open(path, filestore.Log{SetAside: func(string, string, error) { asides++ }})
		must(t, err)
		must(t, s.Close())
		if asides != 1 {
			t.Error("it was not set aside")
		}
	})
}

// TestSchemaGoesWithFormat: a change of the session format needs a new schema number;
// otherwise earlier versions take the file for damaged.
func TestSchemaGoesWithFormat(t *testing.T) {
	if session.WriteFormat != filestore.WriteFormat {
		t.Errorf("format %d is written, and schema %d is of format %d: raise schema", session.WriteFormat, filestore.Schema, filestore.WriteFormat)
	}
	if session.WriteFormat > session.ReadFormat {
		t.Errorf("format %d is written, and %d read", session.WriteFormat, session.ReadFormat)
	}
}

// TestSchemaIsRaised: a file keeps its schema number until something is written to it.
func TestSchemaIsRaised(t *testing.T) {
	path := newPath(t)
	closeOnce(t, mustOpen(t, path))
	number := func() (n uint32) {
		put(t, path, func(tx *bbolt.Tx) error {
			n = binary.BigEndian.Uint32(tx.Bucket(filestore.MetaBucket).Get(filestore.SchemaKey))
			return nil
		})
		return n
	}
	put(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket(filestore.MetaBucket).Put(filestore.SchemaKey, make([]byte, 4))
	})
	s := mustOpen(t, path)
	holds(t, s, nil)
	closeOnce(t, s)
	if n := number(); n != 0 {
		t.Errorf("schema %d when nothing was written", n)
	}
	s = mustOpen(t, path)
	fill(t, s, 0, 1, 0, 1)
	closeOnce(t, s)
	if n := number(); n != filestore.Schema {
		t.Errorf("schema %d", n)
	}
	holds(t, mustOpen(t, path), filled(0, 1, 1))
}
