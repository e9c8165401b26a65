package caddymodule

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// ndjson is JSON lines.
const ndjson = "application/x-ndjson"

// export writes all sessions as JSON lines, one Record each. A store that fails
// breaks the connection off: what came is not all.
func (Admin) export(w http.ResponseWriter, r *http.Request, t *table, app *App) error {
	w.Header().Set("Content-Type", ndjson)
	out := bufio.NewWriterSize(w, 64<<10)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	now, began := t.now(), false
	policy := session.Policy{Retention: app.settings.Retention}
	err := t.sessions().Each(r.Context(), func(key string, s *session.Session) error {
		if policy.Expired(s, now) {
			return nil
		}
		line, err := record(key, s)
		if err != nil {
			return nil //nolint:nilerr // a key of another program is nobody's
		}
		began = true
		return encoder.Encode(line)
	})
	switch {
	case err == nil:
		return out.Flush()
	case began:
		panic(http.ErrAbortHandler)
	}
	return &enrich.StoreError{Err: err}
}

// ImportResult is what became of an import.
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
	// longestRecord bounds a line of an import, in bytes.
	longestRecord = 64 << 10
)

// importRecords reads what export wrote. Sessions that are newer here are kept.
// A line that is wrong ends it; those before it have been imported.
func (Admin) importRecords(w http.ResponseWriter, r *http.Request, t *table, _ *App) error {
	result, err := t.importFrom(r.Context(), patientBody{r.Body, http.NewResponseController(w).SetReadDeadline})
	if err != nil {
		return err
	}
	return writeAdmin(w, result)
}

// patientBody is the body of a request that may take as long as it needs to, if
// only it goes on. Caddy's admin endpoint gives each ten seconds: more than most
// tables take, and less than a large one, or a slow line.
type patientBody struct {
	io.Reader
	deadline func(time.Time) error
}

// longestPause is how long a client may take to send a little more.
const longestPause = time.Minute

func (b patientBody) Read(to []byte) (int, error) {
	// What knows no deadlines has none.
	_ = b.deadline(time.Now().Add(longestPause))
	n, err := b.Reader.Read(to)
	_ = b.deadline(time.Time{})
	return n, err
}

func (t *table) importFrom(ctx context.Context, from io.Reader) (result ImportResult, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type entry struct {
		key string
		s   *session.Session
	}
	entries := make(chan entry)
	var written atomic.Int64
	var writers sync.WaitGroup
	for range importAtOnce {
		writers.Go(func() {
			for e := range entries {
				ok, err := t.sessions().Put(ctx, e.key, e.s)
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
		var e entry
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
	var r Record
	if err := decodeOne(bytes.NewReader(line), &r); err != nil {
		return "", nil, err
	}
	return r.session()
}
