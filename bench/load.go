package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// How many requests are sent at the same time.
const (
	connections   = 16
	h2Connections = 4 // which share those requests
)

// load sends requests until the deadline or, if there is a limit, until that many are
// sent. Each connection sends its next request when the previous one is answered.
type load struct {
	contestant *contestant
	requests   []request
	h2         bool

	deadline time.Time
	limit    int64
	sent     atomic.Int64

	// With an interval, a request is due every interval from begun on, and is sent when
	// a connection is free; latencies count from when it was due.
	begun     time.Time
	interval  time.Duration
	mu        sync.Mutex
	latencies []time.Duration
}

// burst loads a contestant for a while.
func burst(c *contestant, requests []request, h2 bool, d time.Duration) (int, error) {
	l := &load{contestant: c, requests: requests, h2: h2, deadline: time.Now().Add(d)}
	return l.run(connections)
}

// sendAll sends each request once; in order if concurrency is 1.
func sendAll(c *contestant, requests []request, concurrency int) error {
	l := &load{contestant: c, requests: requests, limit: int64(len(requests))}
	_, err := l.run(concurrency)
	return err
}

func (l *load) run(at int) (int, error) {
	first := l.contestant.next
	if l.limit > 0 {
		first = 0
	}
	send := l.dialEach()
	if l.h2 {
		group := newH2Group()
		defer group.close()
		send = group.sender(l.contestant.h2)
	}
	errs := make(chan error, at)
	var done atomic.Int64
	var clients sync.WaitGroup
	for range at {
		clients.Go(func() {
			one, hangUp, err := send()
			if err != nil {
				errs <- err
				return
			}
			defer hangUp()
			var latencies []time.Duration
			defer func() { l.took(latencies) }()
			for {
				n := l.sent.Add(1)
				due := l.await(n)
				if l.limit > 0 && n > l.limit || l.limit == 0 && time.Now().After(l.deadline) {
					return
				}
				if err := one(&l.requests[(first+int(n)-1)%len(l.requests)]); err != nil {
					errs <- fmt.Errorf("%s: %v\n%s", l.contestant.name, err, l.contestant.output())
					return
				}
				done.Add(1)
				if l.interval > 0 {
					latencies = append(latencies, time.Since(due))
				}
			}
		})
	}
	clients.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
	}
	if l.limit == 0 {
		l.contestant.next = (first + int(done.Load())) % len(l.requests)
	}
	return int(done.Load()), nil
}

// await waits until a request is due, if there is an interval.
func (l *load) await(n int64) (due time.Time) {
	if l.interval == 0 {
		return due
	}
	due = l.begun.Add(time.Duration(n) * l.interval)
	time.Sleep(time.Until(due))
	return due
}

func (l *load) took(latencies []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latencies = append(l.latencies, latencies...)
}

// sender opens a connection, or a stream, for requests that are sent one after the
// other.
type sender func() (one func(*request) error, hangUp func(), err error)

// dialEach sends over its own HTTP/1.1 connection, with as little work as possible, to
// leave the processors to the contestants.
func (l *load) dialEach() sender {
	return func() (func(*request) error, func(), error) {
		c, err := net.Dial("tcp", l.contestant.address)
		if err != nil {
			return nil, nil, err
		}
		reader := bufio.NewReader(c)
		return func(r *request) error {
			if _, err := c.Write(r.raw); err != nil {
				return err
			}
			return readAnswer(reader)
		}, func() { c.Close() }, nil
	}
}

// readAnswer reads a response, which must be 200.
func readAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answered %q", line)
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if _, err := fmt.Sscan(string(value), &length); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("an answer without a length")
	}
	_, err = r.Discard(length)
	return err
}

// h2Group is a few connections of HTTP/2 without TLS.
type h2Group struct {
	transports [h2Connections]*http.Transport
	next       atomic.Int64
}

func newH2Group() *h2Group {
	g := &h2Group{}
	for i := range g.transports {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		g.transports[i] = &http.Transport{Protocols: &protocols, DisableCompression: true}
	}
	return g
}

func (g *h2Group) close() {
	for _, t := range g.transports {
		t.CloseIdleConnections()
	}
}

func (g *h2Group) sender(address string) sender {
	return func() (func(*request) error, func(), error) {
		transport := g.transports[int(g.next.Add(1))%h2Connections]
		return func(r *request) error {
			request, err := http.NewRequest(http.MethodPost, "http://"+address+r.path, bytes.NewReader(r.body))
			if err != nil {
				return err
			}
			request.Header = r.header
			response, err := transport.RoundTrip(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
				return fmt.Errorf("answered %s %s", response.Proto, response.Status)
			}
			_, err = io.Copy(io.Discard, response.Body)
			return err
		}, func() {}, nil
	}
}
