package manage

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/internal/record"
	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// Export calls write with each session, until it fails. Any error is an
// [enrich.StoreError].
func Export(ctx context.Context, t caddymodule.OpenTable, write func(*record.Record) error) error {
	now, policy := t.Now(), t.DefaultPolicy()
	err := t.Sessions().Each(ctx, func(key string, s *session.Session) error {
		if policy.Expired(s, now) {
			return nil
		}
		line, err := record.Of(key, s)
		if err != nil {
			return nil //nolint:nilerr // a key of another program is nobody's
		}
		return write(&line)
	})
	if err != nil {
		return &enrich.StoreError{Err: err}
	}
	return nil
}

// ImportResult is the result of an import.
type ImportResult struct {
	// Read is how many sessions came, Written how many of them were newer than
	// what was known.
	Read    int64 `json:"read"`
	Written int64 `json:"written"`
}

const (
	// importAtOnce is how many sessions are written at the same time: stores put
	// changes that come together into one.
	importAtOnce = 256
	// importTries is how often a session is written that the store does not take: it may
	// have been slow for a moment, and a long import is not to break off because of it.
	// importPause is the time between the first two tries; it doubles with each.
	importTries = 5
	importPause = 100 * time.Millisecond
	// longestRecord bounds a line of an import, in bytes.
	longestRecord = 64 << 10
)

// imported is a session of an import.
type imported struct {
	key string
	s   *session.Session
}

// put writes the session if it is newer than the one of its key, and reports whether
// it did.
func (e *imported) put(ctx context.Context, table *sessionstate.Table) (written bool, err error) {
	pause := importPause
	for try := 1; ; try++ {
		written, err = table.Put(ctx, e.key, e.s)
		switch {
		case err == nil && !written && try > 1:
			// The try that failed may have written it.
			known, err := table.Session(ctx, e.key)
			return err == nil && known != nil && known.Version == e.s.Version, err
		case err == nil || try == importTries || errors.Is(err, session.ErrNewer) || errors.Is(err, sessionstate.ErrFull):
			return written, err
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// Import reads what Export wrote. Sessions that are newer here are kept. A line
// that is wrong ends it; those before it have been imported.
func Import(ctx context.Context, t caddymodule.OpenTable, from io.Reader) (result ImportResult, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	entries := make(chan imported)
	var written atomic.Int64
	var writers sync.WaitGroup
	for range importAtOnce {
		writers.Go(func() {
			for e := range entries {
				ok, err := e.put(ctx, t.Sessions())
				if err != nil {
					cancel(&enrich.StoreError{Err: err})
				}
				if ok && err == nil {
					written.Add(1)
				}
			}
		})
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, longestRecord), longestRecord)
	number := int64(0)
	for err == nil && lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var e imported
		if e.key, e.s, err = parseRecord(line); err != nil {
			break
		}
		select {
		case entries <- e:
			result.Read++
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	close(entries)
	writers.Wait()
	result.Written = written.Load()
	if err == nil && lines.Err() != nil {
		number++ // it is what comes next that cannot be had
		if err = lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes", longestRecord)
		}
	}
	if cause := context.Cause(ctx); err == nil && cause != nil {
		err = cause
	}
	var storeErr *enrich.StoreError
	switch {
	case err == nil:
	case errors.As(err, &storeErr):
		err = fmt.Errorf("%w; of the %d sessions up to line %d %d were written", err, result.Read, number, result.Written)
	default:
		err = fmt.Errorf("line %d: %w; of the %d sessions before it %d were written", number, err, result.Read, result.Written)
	}
	return result, err
}

func parseRecord(line []byte) (key string, s *session.Session, err error) {
	var r record.Record
	if err := decodeOne(bytes.NewReader(line), &r); err != nil {
		return "", nil, err
	}
	return r.Session()
}
