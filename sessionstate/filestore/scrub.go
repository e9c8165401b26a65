package filestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"
)

// bbolt writes a changed page to a new place, and the old page stays in the file, with
// everything that was deleted from it, until bbolt reuses it. So after sessions were
// forgotten, a background task fills the free pages with zeros (it scrubs them). A
// counter under scrubKey makes sure that this happens even after a crash.
var scrubKey = []byte("scrub")

const (
	// scrubPages is how many pages are scrubbed at a time, while nobody reads or
	// writes. scrubPause is the pause in between.
	scrubPages = 1024
	scrubPause = 5 * time.Millisecond
	// scrubDelay is how long to wait for further deletions.
	scrubDelay = 200 * time.Millisecond
	// scrubInterval is how often to scrub after sessions that were forgotten because
	// of their age or of the bound.
	scrubInterval = 24 * time.Hour
)

// noteScrub counts, in the file, a deletion that is to be scrubbed.
func noteScrub(tx *bbolt.Tx) error {
	b := tx.Bucket(meta)
	n := uint64(1)
	if v := b.Get(scrubKey); len(v) == 8 {
		n = binary.BigEndian.Uint64(v) + 1
	}
	return b.Put(scrubKey, binary.BigEndian.AppendUint64(nil, n))
}

// EraseTraces has everything that was deleted overwritten in the background. When it
// returns, this is certain to happen, even after a crash.
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
	case s.scrubWake <- struct{}{}:
	default:
	}
}

// toScrub returns the counter of noteScrub, 0 if nothing is to be scrubbed.
func (s *Store) toScrub() (n uint64) {
	_ = s.view(func(b *bbolt.Bucket) error {
		if v := b.Tx().Bucket(meta).Get(scrubKey); len(v) == 8 {
			n = binary.BigEndian.Uint64(v)
		}
		return nil
	})
	return n
}

// scrubber calls Scrub whenever there is something to scrub, until the context ends.
func (s *Store) scrubber(ctx context.Context) {
	var last time.Time
	for {
		if s.toScrub() == 0 || !s.erase.Load() && time.Since(last) < scrubInterval {
			if sleep(ctx, time.Hour, s.scrubWake) == ended {
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

// Scrub fills all free pages with zeros.
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
		// If more was deleted meanwhile, it may be in pages that were scrubbed before.
		if v := m.Get(scrubKey); len(v) != 8 || binary.BigEndian.Uint64(v) != noted {
			return false
		}
		return m.Delete(scrubKey) == nil
	})
}

// scrubChunk scrubs the free pages among the next scrubPages, and returns the page to
// continue with, or -1 at the end.
//
// During a write transaction without readers, nobody needs a page on the free list: the
// last transaction is on the disk, so the pages that it has freed are not needed for
// recovery.
func (s *Store) scrubChunk(ctx context.Context, next int) (more int, err error) {
	// If the context ends, the writer may still be at it when do has returned: what it
	// finds out is not in variables of this function.
	type result struct {
		more int
		err  error
	}
	done := make(chan result, 1)
	if err := s.do(ctx, func(b *bbolt.Bucket) bool {
		s.reading.Lock()
		defer s.reading.Unlock()
		more, err := s.zero(b.Tx(), next)
		done <- result{more, err}
		return false
	}); err != nil {
		return 0, err
	}
	zeroed := <-done
	return zeroed.more, zeroed.err
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
