package sourceconfig_test

import (
	"testing"

	_ "github.com/rudder-session/rudder-session/caddymodule/sourceconfig"
	"github.com/rudder-session/rudder-session/internal/caddyfiletest"
)

func TestCaddyfile(t *testing.T) { caddyfiletest.Run(t) }
