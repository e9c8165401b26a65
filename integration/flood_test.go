package integration_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestFloodOfIDs sends control calls and events with new ids each time, and among them
// those of an active user. Memory and disk stay within their bounds, and the user's
// session continues: with the file store it survives a restart too.
func TestFloodOfIDs(t *testing.T) {
	// The requests of atOnce ids are concurrent, and the store writes their sessions together.
	// slack is how many sessions more than its bound a file may have.
	const capacity, stored, slack, atOnce = 100, 400, 1000, 20
	// Each way sends the ids from i to i+n.
	flood := map[string]func(i, n int) []proxytest.Request{
		"startSession": func(i, n int) (all []proxytest.Request) {
			for id := i; id < i+n; id++ {
				all = append(all, proxytest.Request{Path: "/v1/startSession", Body: fmt.Sprintf(`{"anonymousId":"flood-%d"}`, id)})
			}
			return all
		},
		"startSession and event": func(i, n int) []proxytest.Request {
			var messages []string
			for id := i; id < i+n; id++ {
				messages = append(messages, fmt.Sprintf(`{"type":"startSession","anonymousId":"flood-%d"}`, id), proxytest.Event(fmt.Sprint("flood-", id), fmt.Sprint(id)))
			}
			return inBatches(messages, 8)
		},
		"automatic proxy": func(i, n int) []proxytest.Request {
			var messages []string
			for id := i; id < i+n; id++ {
				messages = append(messages, proxytest.Event(fmt.Sprint("flood-", id), fmt.Sprint(id)))
			}
			return inBatches(messages, 4)
		},
	}
	for name, next := range flood {
		for _, store := range []string{"memory", "file"} {
			t.Run(name+" "+store, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "sessions.db")
				option, ids := "store memory", 10*capacity
				if store == "file" {
					ids = (stored + slack) * 5 / 4
					option = fmt.Sprintf("store file %s {\nmax_sessions %d\n}", path, stored)
				}
				s := proxytest.Setup{Global: fmt.Sprintf("rudder_session {\n%s\ncapacity %d\n}", option, capacity), Session: "automatic proxy"}
				p := run(t, s)
				p.Start(t, "active", id1)
				p.Post(t, "/v1/track", proxytest.Event("active", "first"))
				p.Expect(t, "1234567890!")
				p.Client.Transport.(*http.Transport).MaxIdleConnsPerHost = atOnce
				for i := 0; i < ids; i += atOnce {
					var group sync.WaitGroup
					received := p.Now
					for j, r := range next(i, atOnce) {
						group.Go(func() {
							r.WriteKey, r.Received = "wk1", received.Add(time.Duration(j)*time.Millisecond)
							got, err := p.Try(r)
							if err != nil || got.Status != http.StatusOK && got.Status != http.StatusServiceUnavailable {
								t.Errorf("%v %d %s", err, got.Status, got.Body)
							}
						})
					}
					group.Wait()
					if t.Failed() {
						return
					}
					p.Now = received.Add(atOnce * time.Millisecond)
					p.Plane.Take()
					p.Post(t, "/v1/track", proxytest.Event("active", fmt.Sprint("m", i)))
					p.Expect(t, "1234567890")
				}
				if store == "memory" {
					return
				}
				p.mustLoad(t, proxytest.Setup{Site: "reverse_proxy $UPSTREAM"})
				proxytest.Serving.Wait(0)
				if n := storedSessions(t, path); n > stored+slack {
					t.Errorf("%d sessions on the disk", n)
				}
				p.mustLoad(t, s)
				p.Plane.Take()
				p.Post(t, "/v1/track", proxytest.Event("active", "last"))
				p.Expect(t, "1234567890")
			})
		}
	}
}

// inBatches makes requests of messages, n of them in each.
func inBatches(messages []string, n int) (all []proxytest.Request) {
	for batch := range slices.Chunk(messages, n) {
		all = append(all, proxytest.Request{Path: "/v1/batch", Body: `{"batch":[` + strings.Join(batch, ",") + `]}`})
	}
	return all
}

func storedSessions(t *testing.T, path string) (n int) {
	t.Helper()
	var db *bbolt.DB
	var err error
	for range 5 { // each waits a second, until the previous owner has closed the file
		if db, err = bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second}); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket([]byte("sessions")).Stats().KeyN
		return nil
	})
	return n
}
