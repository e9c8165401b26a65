//go:build !race

package proxytest

var raceFlags []string
