package integration_test

import (
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// proxy is a running Caddy in front of a data plane, with helpers for the tests of this
// package.
type proxy struct{ *proxytest.Proxy }

// run starts Caddy with an empty table, and stops it at the end of the test.
func run(t *testing.T, s proxytest.Setup) *proxy {
	t.Helper()
	return &proxy{proxytest.Run(t, s)}
}

func TestMain(m *testing.M) { proxytest.Main(m) }
