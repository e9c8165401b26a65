package enrich

import "golang.org/x/sys/cpu"

// moreMarks are the additional implementations that this processor supports.
var moreMarks = func() map[string]func(stops []uint64, b []byte) {
	marks := map[string]func(stops []uint64, b []byte){"SSE2": onBlocks(markBlocksSSE2)}
	if cpu.X86.HasAVX2 {
		marks["AVX2"] = onBlocks(markBlocksAVX2)
	}
	return marks
}()

func onBlocks(mark func(stops *uint64, b *byte, n int)) func(stops []uint64, b []byte) {
	return func(stops []uint64, b []byte) {
		if n := len(b) / 64; n > 0 {
			mark(&stops[0], &b[0], n)
		}
	}
}
