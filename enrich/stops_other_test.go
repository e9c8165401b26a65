//go:build !amd64

package enrich

var moreMarks map[string]func(stops []uint64, b []byte)
