package enrich

import "golang.org/x/sys/cpu"

// markStops marks the stops of all whole blocks of 64 bytes. It is in assembly: in Go,
// one or eight bytes at a time, it would take as long as everything else that is done
// to a body.
func markStops(stops []uint64, b []byte) {
	n := len(b) / 64
	if n == 0 {
		return
	}
	_ = stops[n-1]
	if cpu.X86.HasAVX2 {
		markBlocksAVX2(&stops[0], &b[0], n)
	} else {
		markBlocksSSE2(&stops[0], &b[0], n)
	}
}

//go:noescape
func markBlocksSSE2(stops *uint64, b *byte, n int)

//go:noescape
func markBlocksAVX2(stops *uint64, b *byte, n int)
