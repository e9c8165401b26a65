package caddymodule

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/enrich"
)

// A transport that still reads a body after its request was answered never sees the
// memory's next use.
func TestBodiesAreRecalled(t *testing.T) {
	for _, changed := range []bool{false, true} {
		r := httptest.NewRequest(http.MethodPost, "/v1/track", strings.NewReader(strings.Repeat("first ", 1000)))
		b, err := readBody(r, 1<<20, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if changed {
			b.replace(r, enrich.Body{b.decoded[:3000], []byte("put in"), b.decoded[3000:]})
		}
		begun, last := make(chan struct{}), make(chan error)
		go func() {
			text, p, told := "", make([]byte, 7), false
			for {
				n, err := r.Body.Read(p)
				text += string(p[:n])
				if len(text) > 100 && !told {
					told = true
					close(begun)
				}
				if err != nil {
					if strings.Contains(text, "next") {
						t.Error("read what is another request's")
					}
					last <- err
					return
				}
			}
		}()
		<-begun
		memory := *b.raw
		b.release()
		copy(memory, bytes.Repeat([]byte("next "), 1200))
		if err := <-last; !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("changed is %v: %v", changed, err)
		}
		if n, err := r.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("changed is %v: %d bytes, %v after all", changed, n, err)
		}
	}
}
