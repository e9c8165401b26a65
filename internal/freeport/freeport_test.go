package freeport

import (
	"net"
	"testing"
)

// A port stays claimed while nothing listens on it, until the test has ended.
func TestClaim(t *testing.T) {
	var port int
	t.Run("claimed", func(t *testing.T) {
		port = Claim(t)
		for range 2 { // a server that is started, stopped and started again
			l, err := net.Listen("tcp", address(port))
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
		}
		if claim, err := net.ListenPacket("udp", address(port+claims)); err == nil {
			claim.Close()
			t.Error("another test could claim it")
		}
	})
	claim, err := net.ListenPacket("udp", address(port+claims))
	if err != nil {
		t.Fatalf("it is not free after the test: %v", err)
	}
	claim.Close()
}
