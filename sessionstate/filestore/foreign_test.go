package filestore_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/sessionstate/filestore"
)

// TestNoSessionFile opens files that are something else.
func TestNoSessionFile(t *testing.T) {
	bolt := func(options *bbolt.Options, fn func(*bbolt.Tx) error) []byte {
		path := newPath(t)
		db, err := bbolt.Open(path, 0o600, options)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(fn); err != nil {
			t.Fatal(err)
		}
		db.Close()
		return read(t, path)
	}
	create := func(tx *bbolt.Tx, name string, pairs ...string) error {
		b, err := tx.CreateBucket([]byte(name))
		for i := 0; err == nil && i < len(pairs); i += 2 {
			err = b.Put([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		return err
	}
	schema := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	ours := func(tx *bbolt.Tx, pairs ...string) error {
		if err := create(tx, string(filestore.MetaBucket), string(filestore.SchemaKey), schema(1)); err != nil {
			return err
		}
		return create(tx, string(filestore.SessionsBucket), pairs...)
	}
	f := newSample(t, 10)
	for name, content := range map[string][]byte{
		"one byte":           {0},
		"text":               []byte("not a database\n"),
		"much text":          bytes.Repeat([]byte("not a database\n"), 5000),
		"zeros":              make([]byte, 1<<20),
		"ones":               bytes.Repeat([]byte{255}, 1<<16),
		"SQLite":             append([]byte("SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20"), make([]byte, 8192)...),
		"another's":          bolt(nil, func(tx *bbolt.Tx) error { return create(tx, "key", "a", "b") }),
		"another's sessions": bolt(nil, func(tx *bbolt.Tx) error { return create(tx, "sessions", "a", "b") }),
		"another's without its free list": bolt(&bbolt.Options{NoFreelistSync: true}, func(tx *bbolt.Tx) error {
			return create(tx, "key", "a", "b")
		}),
		"another's, other pages": bolt(&bbolt.Options{PageSize: 16384}, func(tx *bbolt.Tx) error { return create(tx, "key", "a", "b") }),
		"no sessions": bolt(nil, func(tx *bbolt.Tx) error {
			return create(tx, string(filestore.MetaBucket), string(filestore.SchemaKey), schema(1))
		}),
		"no schema": bolt(nil, func(tx *bbolt.Tx) error {
			if err := create(tx, string(filestore.MetaBucket)); err != nil {
				return err
			}
			return create(tx, string(filestore.SessionsBucket))
		}),
		"a schema that is none": bolt(nil, func(tx *bbolt.Tx) error {
			if err := create(tx, string(filestore.MetaBucket), string(filestore.SchemaKey), "one"); err != nil {
				return err
			}
			return create(tx, string(filestore.SessionsBucket))
		}),
		"garbage":       bolt(nil, func(tx *bbolt.Tx) error { return ours(tx, "key", "garbage") }),
		"nothing":       bolt(nil, func(tx *bbolt.Tx) error { return ours(tx, "key", "") }),
		"a later form":  bolt(nil, func(tx *bbolt.Tx) error { return ours(tx, "key", "\x02\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00") }),
		"a short one":   bolt(nil, func(tx *bbolt.Tx) error { return ours(tx, "key", "\x01\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01") }),
		"one too large": bolt(nil, func(tx *bbolt.Tx) error { return ours(tx, "key", "\x01\x00\x00\x00\x00\x00\x00\x00\x01\x02\x09") }),
		"a bucket among the sessions": bolt(nil, func(tx *bbolt.Tx) error {
			if err := ours(tx); err != nil {
				return err
			}
			_, err := tx.Bucket(filestore.SessionsBucket).CreateBucket([]byte("key"))
			return err
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if !f.reopen(t, content).aside {
				t.Error("it was not set aside")
			}
		})
	}
}
