package caddymodule

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The length at the end of a gzip body is the client's claim: up to 2^32-1, which
// overflows a 32-bit int.
func TestGzipThatSaysAnyLength(t *testing.T) {
	for _, says := range []uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		w.Write([]byte(`{"anonymousId":"a1"}`))
		w.Close()
		body := zipped.Bytes()
		binary.LittleEndian.PutUint32(body[len(body)-4:], says)
		r := httptest.NewRequest(http.MethodPost, "/v1/track", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", "gzip")
		b, err := readBody(r, largestBody, time.Minute)
		if err != nil || b.decoded != nil {
			t.Errorf("%d: read as %q, %v", says, b.decoded, err)
		}
		b.leave(r, nil)
	}
}
