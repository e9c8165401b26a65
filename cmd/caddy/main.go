// Command caddy is Caddy with the rudder_session module in it.
package main

import (
	"os"
	"runtime"

	"github.com/KimMachineGun/automemlimit/memlimit"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/rudder-session/rudder-session"
)

// The ballast is memory that is never touched, and so takes none: a part of what
// there is, up to mostBallast. The garbage collector runs when as much was
// allocated as is in use: without it, that is every few megabytes of bodies as
// long as there are few sessions, a sixth of the processor's time; and what it
// delays is among the slowest hundredth of requests as soon as it runs more
// often than every other second.
const ballastPart, mostBallast = 16, 256 << 20

func main() {
	var ballast []byte
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		there, err := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)()
		if err == nil {
			ballast = make([]byte, min(there/ballastPart, mostBallast))
		}
	}
	caddycmd.Main()
	runtime.KeepAlive(ballast)
}
