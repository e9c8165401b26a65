package redistest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy forwards connections to a server, and can delay and break them.
type Proxy struct {
	// Addr is host:port, for clients.
	Addr string

	to      string
	mu      sync.Mutex
	pass    *sync.Cond
	links   map[*proxied]bool
	refuses bool
	// held: nothing is forwarded in that direction.
	held [2]bool
	// left is how many more bytes are forwarded in that direction before all
	// connections are cut; -1 is no limit.
	left [2]int
	// shift is added to the server's replies to TIME.
	shift time.Duration
	// forGood: no connection is accepted after the cut.
	forGood bool
}

// Direction is a direction of the bytes.
type Direction int

const (
	// Requests go to the server, Answers to the client.
	Requests Direction = iota
	Answers
)

type proxied struct{ client, server net.Conn }

func (l *proxied) close() {
	l.client.Close()
	l.server.Close()
}

// StartProxy runs a proxy in front of a server.
func StartProxy(t testing.TB, of *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), to: of.Addr, links: map[*proxied]bool{}, left: [2]int{-1, -1}}
	p.pass = sync.NewCond(&p.mu)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.link(client, &running)
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.Refuse()
		running.Wait()
	})
	return p
}

// URL returns the proxy's URL, for clients.
func (p *Proxy) URL() string { return "redis://" + p.Addr }

func (p *Proxy) link(client net.Conn, running *sync.WaitGroup) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses {
		client.Close()
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		client.Close()
		return
	}
	l := &proxied{client, server}
	p.links[l] = true
	running.Go(func() { p.copy(l, Requests, client, server) })
	running.Go(func() { p.copy(l, Answers, server, client) })
}

func (p *Proxy) copy(l *proxied, d Direction, from, to net.Conn) {
	defer l.close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		some, cut := p.limit(l, d, p.shifted(d, buffer[:n]))
		if _, err := to.Write(some); err != nil {
			return
		}
		if cut {
			p.Cut()
			return
		}
	}
}

// limit returns how many of some bytes to forward, and whether to cut all connections
// afterwards.
func (p *Proxy) limit(l *proxied, d Direction, b []byte) (some []byte, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held[d] && p.links[l] {
		p.pass.Wait()
	}
	if p.left[d] < 0 || !p.links[l] {
		return b, false
	}
	n := min(len(b), p.left[d])
	if p.left[d] -= n; p.left[d] > 0 {
		return b, false
	}
	p.left[d] = -1
	p.refuses = p.refuses || p.forGood
	return b[:n], true
}

// CutAfter cuts all connections after n more bytes, at least one, in a direction. Later
// connections are forwarded.
func (p *Proxy) CutAfter(d Direction, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left[d], p.forGood = n, false
}

// CutAfterForGood is CutAfter, but no connection is accepted afterwards until Accept is
// called.
func (p *Proxy) CutAfterForGood(d Direction, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left[d], p.forGood = n, true
}

// Hold holds back the bytes of a direction until Release is called. The bytes of a
// connection that is cut meanwhile are lost.
func (p *Proxy) Hold(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[d] = true
}

// Release ends Hold.
func (p *Proxy) Release(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[d] = false
	p.pass.Broadcast()
}

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
	clear(p.links)
	p.pass.Broadcast()
}

// Refuse closes all connections, and accepts none until Accept is called.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.refuses = true
	p.mu.Unlock()
	p.Cut()
}

// Accept ends Refuse and CutAfterForGood.
func (p *Proxy) Accept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = false
	if p.forGood {
		p.left, p.forGood = [2]int{-1, -1}, false
	}
}
