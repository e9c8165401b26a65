package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/rudder-session/rudder-session/enrich"
)

// BenchmarkZipLevels compresses a batch of a hundred events, and one event, at all levels,
// and reports time and size.
func BenchmarkZipLevels(b *testing.B) {
	event := `{"type":"track","anonymousId":"667bad4e-5ae6-4418-b1c8-%012d","messageId":"8f0c1c2e-%08x","channel":"web","event":"Product Viewed",` +
		`"originalTimestamp":"2026-11-23T08:00:%02d.%03dZ","properties":{"product_id":"p%d","price":%d.99,"currency":"EUR","name":"A thing that is sold"},` +
		`"context":{"library":{"name":"RudderLabs JavaScript SDK","version":"3.34.1"},"userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",` +
		`"locale":"en-US","screen":{"width":1920,"height":1080,"density":1},"page":{"path":"/shop/%d","referrer":"https://www.example.com/","title":"Shop"},"sessionId":%d}}`
	var batch bytes.Buffer
	batch.WriteString(`{"batch":[`)
	for i := range 100 {
		if i > 0 {
			batch.WriteByte(',')
		}
		fmt.Fprintf(&batch, event, i*7919, i*2654435761, i%60, i*37%1000, i*31, i*17, i*13, 1700000000000+i)
	}
	batch.WriteString(`]}`)
	one := batch.Bytes()[len(`{"batch":[`) : batch.Len()/100]
	for _, body := range [][]byte{one, batch.Bytes()} {
		for _, level := range []int{gzip.StatelessCompression, gzip.HuffmanOnly, gzip.BestSpeed, 2, 3, gzip.DefaultCompression} {
			b.Run(fmt.Sprintf("%d bytes/level %d", len(body), level), func(b *testing.B) {
				w := newZipper(level)
				var out bytes.Buffer
				for b.Loop() {
					out.Reset()
					w.Reset(&out)
					_, _ = w.Write(body)
					_ = w.Close()
				}
				b.SetBytes(int64(len(body)))
				b.ReportMetric(100*float64(out.Len())/float64(len(body)), "%left")
			})
		}
	}
}

// TestZip: decompressing gives the changed body; zip uses existing memory.
func TestZip(t *testing.T) {
	raw := make([]byte, 4096)
	b := &body{raw: &raw}
	changed := enrich.Body{[]byte(`{"a":`), bytes.Repeat([]byte("1"), 1000), []byte(`}`)}
	zipped := b.zip(changed).Bytes()
	if &(*b.raw)[0] != &raw[:1][0] || len(zipped) > 100 {
		t.Errorf("%d bytes, in other memory", len(zipped))
	}
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, changed.Bytes()) {
		t.Errorf("%q, %v", got, err)
	}
}
