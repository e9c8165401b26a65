package main

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// wantsEcho makes the upstream answer with the body that it got; wantsHold makes it
// hold the request until /release is requested.
const (
	wantsEcho = "X-Bench-Echo"
	wantsHold = "X-Bench-Hold"
)

// runUpstream stands in for the data plane: it reads events and gives the data plane's
// answer at once. It runs as its own process, so that its processor time is not counted
// as the proxies'.
func runUpstream(address string) error {
	return http.ListenAndServe(address, newUpstream())
}

// startUpstream starts this program again, as the upstream.
func (f *field) startUpstream() (err error) {
	if f.upstream, err = freeAddress(); err != nil {
		return err
	}
	_, err = f.start("upstream", f.upstream, nil, f.self, "-upstream", f.upstream)
	return err
}

type upstream struct {
	buffers sync.Pool
	// received is the number of bytes of all bodies.
	received atomic.Int64

	mu      sync.Mutex
	held    int
	changed *sync.Cond
	// round counts the releases of held requests.
	round int
}

func newUpstream() *upstream {
	u := &upstream{buffers: sync.Pool{New: func() any { return new([64 << 10]byte) }}}
	u.changed = sync.NewCond(&u.mu)
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/received":
		fmt.Fprint(w, u.received.Load())
		return
	case "/held":
		u.mu.Lock()
		defer u.mu.Unlock()
		fmt.Fprint(w, u.held)
		return
	case "/release":
		u.mu.Lock()
		defer u.mu.Unlock()
		u.round++
		u.changed.Broadcast()
		return
	}
	if r.Header.Get(wantsEcho) != "" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
			w.Header().Set("Content-Encoding", encoding)
		}
		w.Write(body)
		return
	}
	buffer := u.buffers.Get().(*[64 << 10]byte)
	for {
		n, err := r.Body.Read(buffer[:])
		u.received.Add(int64(n))
		if err != nil {
			break
		}
	}
	u.buffers.Put(buffer)
	if r.Header.Get(wantsHold) != "" {
		u.hold()
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	io.WriteString(w, "ok")
}

func (u *upstream) hold() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held++
	for round := u.round; u.round == round; {
		u.changed.Wait()
	}
	u.held--
}
