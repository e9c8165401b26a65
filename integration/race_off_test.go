//go:build !race

package integration_test

var raceFlags []string
