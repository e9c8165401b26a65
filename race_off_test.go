//go:build !race

package ruddersession_test

var raceFlags []string
