//go:build !amd64

package enrich

func markStops(stops []uint64, b []byte) { markStopsGo(stops, b) }
