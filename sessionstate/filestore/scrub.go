package filestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"
)

// What is deleted from a page, and what a page had before it was written in
// another place, stays in the file until bbolt uses the page again. So after a
// session was forgotten the pages that are not in use are filled with zeros, in
// the background. A note in the file has that done after a crash, too.
var scrubKey = []byte("scrub")

const (
	// scrubPages is how many pages are looked at while nobody else reads or
	// writes, and scrubPause what is between two such times.
	scrubPages = 1024
	scrubPause = 5 * time.Millisecond
	// scrubDelay is how long deletions are waited for that may follow.
	scrubDelay = 200 * time.Millisecond
	// sweptEvery is how often that is done for sessions that were forgotten for
	// their age or for want of room.
	sweptEvery = 24 * time.Hour
)

// noteScrub notes that there is something to be scrubbed.
func noteScrub(tx *bbolt.Tx) error {
	b := tx.Bucket(meta)
	n := uint64(1)
	if v := b.Get(scrubKey); len(v) == 8 {
		n = binary.BigEndian.Uint64(v) + 1
	}
	return b.Put(scrubKey, binary.BigEndian.AppendUint64(nil, n))
}

// EraseTraces has what was deleted overwritten in the background, by whatever it
// was deleted. It returns when that is sure to be done, after a crash too.
func (s *Store) EraseTraces(ctx context.Context) error {
	var failed error
	err := s.do(ctx, func(b *bbolt.Bucket) bool {
		failed = noteScrub(b.Tx())
		return failed == nil
	})
	if err != nil {
		return err
	}
	s.eraseNow()
	return failed
}

func (s *Store) eraseNow() {
	s.erase.Store(true)
	s.wakeScrubber()
}

func (s *Store) wakeScrubber() {
	select {
	case s.scrubs <- struct{}{}:
	default:
	}
}

// toScrub returns the note, 0 if there is none.
func (s *Store) toScrub() (n uint64) {
	_ = s.view(func(b *bbolt.Bucket) error {
		if v := b.Tx().Bucket(meta).Get(scrubKey); len(v) == 8 {
			n = binary.BigEndian.Uint64(v)
		}
		return nil
	})
	return n
}

// scrubber scrubs whenever there is something to, until the context ends.
func (s *Store) scrubber(ctx context.Context) {
	var last time.Time
	for {
		if s.toScrub() == 0 || !s.erase.Load() && time.Since(last) < sweptEvery {
			if sleep(ctx, time.Hour, s.scrubs) == ended {
				return
			}
			continue
		}
		if sleep(ctx, scrubDelay, nil) == ended {
			return
		}
		s.erase.Store(false)
		last = time.Now()
		if err := s.Scrub(ctx); err != nil && ctx.Err() == nil {
			s.erase.Store(true)
			if s.log.Sweep != nil {
				s.log.Sweep(err)
			}
			if sleep(ctx, time.Minute, nil) == ended {
				return
			}
		}
	}
}

// Scrub fills all pages that are not in use with zeros.
func (s *Store) Scrub(ctx context.Context) error {
	noted := s.toScrub()
	for next := 0; next >= 0; {
		var err error
		if next, err = s.scrubChunk(ctx, next); err != nil {
			return err
		}
		if next >= 0 && sleep(ctx, scrubPause, nil) == ended {
			return ctx.Err()
		}
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	if noted == 0 {
		return nil
	}
	return s.do(ctx, func(b *bbolt.Bucket) bool {
		m := b.Tx().Bucket(meta)
		// More was forgotten meanwhile: it may be where this one has been.
		if v := m.Get(scrubKey); len(v) != 8 || binary.BigEndian.Uint64(v) != noted {
			return false
		}
		return m.Delete(scrubKey) == nil
	})
}

// scrubChunk fills the free ones of some pages, from next on, and returns where
// to go on, -1 at the end.
//
// Within a write transaction, and while nobody reads, all pages on the free list
// are used by nobody: what the last transaction has freed is not needed for it,
// and it is on the disk.
func (s *Store) scrubChunk(ctx context.Context, next int) (more int, err error) {
	failed := s.do(ctx, func(b *bbolt.Bucket) bool {
		s.reading.Lock()
		defer s.reading.Unlock()
		more, err = s.zero(b.Tx(), next)
		return false
	})
	if failed != nil {
		return 0, failed
	}
	return more, err
}

func (s *Store) zero(tx *bbolt.Tx, next int) (more int, err error) {
	size := tx.DB().Info().PageSize
	page, zeros := make([]byte, size), make([]byte, size)
	for id := next; id < next+scrubPages; id++ {
		info, err := tx.Page(id)
		if info == nil || err != nil {
			return -1, err
		}
		if info.Type != "free" {
			continue
		}
		at := int64(id) * int64(size)
		if _, err := s.file.ReadAt(page, at); err != nil {
			return 0, err
		}
		if bytes.Equal(page, zeros) {
			continue
		}
		if _, err := s.file.WriteAt(zeros, at); err != nil {
			return 0, err
		}
	}
	return next + scrubPages, nil
}
