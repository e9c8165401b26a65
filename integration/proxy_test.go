package integration_test

import (
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// proxy is a running Caddy before a data plane, with what the tests of this
// package ask of it.
type proxy struct{ *proxytest.Proxy }

// run starts Caddy, with an empty table, and stops it when the test is over.
func run(t *testing.T, s proxytest.Setup) *proxy {
	t.Helper()
	return &proxy{proxytest.Run(t, s)}
}
