package freeport

import (
	"net"
	"testing"
)

// A port stays claimed while its server is stopped.
func TestClaim(t *testing.T) {
	port := Claim(t)
	for range 2 { // a server that is started, stopped and started again
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if claim, err := net.ListenPacket("udp", address(port+claims)); err == nil {
			claim.Close()
			t.Error("another test could claim it")
		}
	}
}
