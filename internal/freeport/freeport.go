// Package freeport finds ports for servers that tests start, stop and start again.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports are below the range that systems use for outgoing connections, which could take a
// port while its server is stopped.
const (
	first = 10_000
	count = 10_000
	// claims is the distance from a port to its claim.
	claims = count
)

// Claim returns a TCP port of 127.0.0.1 that nobody listens on. Until the test has ended,
// no other call returns it, in any process: the UDP port 10,000 above it is in use for
// as long, and tells the others, among them the end-to-end tests (e2e/lib/port.js).
func Claim(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := first + rand.IntN(count)
		claim, err := net.ListenPacket("udp", address(port+claims))
		if err != nil {
			continue
		}
		if l, err := net.Listen("tcp", address(port)); err == nil {
			l.Close()
			t.Cleanup(func() { claim.Close() })
			return port
		}
		claim.Close()
	}
	t.Fatal("no port is free")
	return 0
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
