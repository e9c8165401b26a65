package main

import "runtime/debug"

// gcPercent is how much may be allocated between two garbage collections, in
// percent of what was in use after the one before. Go's default, 100, has a Caddy
// with few sessions collect every few megabytes of bodies, which takes an eighth of
// the processor's time.
const gcPercent = 400

// tuneGC sets the garbage collector of a server, unless the environment does. How
// much memory there is, Caddy tells Go itself when it runs: near that limit Go
// collects more often, whatever the percentage.
func tuneGC(args []string, env func(string) string) {
	if len(args) > 0 && args[0] == "run" && env("GOGC") == "" && env("GOMEMLIMIT") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
