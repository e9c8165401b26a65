//go:build amd64 || arm64

package sessionstate

// prefetch has the processor begin to fetch what is at an address, wherever that
// is: it waits for nothing, and no address is wrong.
func prefetch(at uintptr)
