package redis_test

import (
	"testing"

	_ "github.com/rudder-session/rudder-session/caddymodule"
	_ "github.com/rudder-session/rudder-session/caddymodule/stores/redis"
	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
)

// secret is the password in the configurations; no error may contain it.
const secret = "s3cret"

func TestCaddyfile(t *testing.T) {
	setEnv(t)
	caddyfiletest.Run(t, secret)
}
