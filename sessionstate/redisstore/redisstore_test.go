package redisstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/storetest"
)

var prefixes atomic.Int64

// freshPrefix returns a new prefix, so that each test has its own keys on one server. It
// contains the special characters of patterns.
func freshPrefix() string { return fmt.Sprintf(`s*[%d]?\:`, prefixes.Add(1)) }

func open(t testing.TB, o redisstore.Options) *redisstore.Store {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = freshPrefix()
	}
	if o.Timeout == 0 {
		// Machines that run tests can be slow.
		o.Timeout = 10 * time.Second
	}
	s, err := redisstore.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, strict := range map[string]bool{"eventual": false, "strict": true} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) sessionstate.Store {
				return open(t, redisstore.Options{URLs: []string{server.URL()}, Strict: strict})
			})
		})
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	var urls []string
	for _, node := range redistest.StartCluster(t) {
		urls = append(urls, node.URL())
	}
	for name, urls := range map[string][]string{"all nodes": urls, "one node": urls[:1]} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) sessionstate.Store {
				return open(t, redisstore.Options{URLs: urls})
			})
		})
	}
}

func TestSentinels(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	redistest.StartReplica(t, master)
	sentinels := redistest.StartSentinels(t, master, 1)
	sentinels.Trust()
	storetest.Run(t, func(t *testing.T) sessionstate.Store {
		return open(t, redisstore.Options{URLs: sentinels.URLs(), Sentinel: sentinels.Name})
	})
}
