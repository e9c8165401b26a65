package redisstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// A scan, on which only operators wait, goes on after Redis was slower than an event
// may wait for it.
func TestScanOfASlowServer(t *testing.T) {
	server := redistest.Start(t)
	prefix := freshPrefix()
	const timeout = 50 * time.Millisecond
	writer := open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix})
	defer writer.Close()
	const n = 2000 // several pages
	for i := range n {
		if ok, err := swapOne(writer, fmt.Sprint("key ", i), 0, sessionOf(1, 1_000_000_000)); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	scanned := open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix, Timeout: timeout})
	defer scanned.Close()
	redistest.Await(t, "the store is connected", func() bool {
		_, err := scanned.Get(t.Context(), "key")
		return err == nil
	})
	var waiting [5]*redisstore.Store // each waits for the timeout once
	for i := range waiting {
		waiting[i] = open(t, redisstore.Options{URLs: []string{server.URL()}, Prefix: prefix, Timeout: timeout})
		defer waiting[i].Close()
	}
	var others sync.WaitGroup
	seen := map[string]bool{}
	err := scanned.Scan(t.Context(), func(key string, _ *session.Session) error {
		if len(seen) == 0 {
			server.Pause()
			others.Go(func() {
				defer server.Resume()
				for _, store := range waiting { // one after the other
					if _, err := store.Get(t.Context(), "key"); err == nil {
						t.Error("a server that is stopped answers")
					}
				}
			})
		}
		seen[key] = true
		return nil
	})
	others.Wait()
	if err != nil || len(seen) != n {
		t.Errorf("%d sessions, %v", len(seen), err)
	}
}
