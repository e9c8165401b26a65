package caddymodule_test

import (
	"testing"

	_ "github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
)

// caddyfileEnv is the environment in which the Caddyfiles of testdata are read.
var caddyfileEnv = map[string]string{
	"RUDDER_SESSION_TEST_TIMEOUT":   "45m",
	"RUDDER_SESSION_TEST_WRITE_KEY": "write-key-of-the-environment",
	"RUDDER_SESSION_TEST_CAPACITY":  "5000",
}

func TestCaddyfile(t *testing.T) {
	for name, value := range caddyfileEnv {
		t.Setenv(name, value)
	}
	caddyfiletest.Run(t)
}
