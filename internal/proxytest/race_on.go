//go:build race

package proxytest

// raceFlags builds the processes that tests start with the race detector, like the tests.
var raceFlags = []string{"-race"}
