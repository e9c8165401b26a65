package caddymodule

import (
	"bytes"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/rudder-session/rudder-session/enrich"
)

// handOn gives the request its changed body: uncompressed or, with keep_encoding,
// compressed if it came compressed.
func (h *Handler) handOn(r *http.Request, b *body, changed enrich.Body) {
	zipped := h.KeepEncoding && b.buffer != nil
	if zipped {
		changed = b.zip(changed)
	}
	b.replace(r, changed)
	if zipped {
		r.Header["Content-Encoding"] = []string{"gzip"}
	}
}

// zip compresses a changed body. It reuses the memory of the compressed body that came,
// which is no longer read.
func (b *body) zip(changed enrich.Body) enrich.Body {
	zipper := zippers.Get().(*gzip.Writer)
	defer zippers.Put(zipper)
	out := bytes.NewBuffer((*b.raw)[:0])
	zipper.Reset(out)
	for _, piece := range changed {
		_, _ = zipper.Write(piece) // cannot fail: it writes to memory
	}
	_ = zipper.Close()
	*b.raw = out.Bytes()
	return enrich.Body{*b.raw}
}

// zipLevel is the level with the best ratio of time to size; BenchmarkZipLevels compares
// them. For a batch, all higher levels give about the same size and take longer; the
// levels without a table of matches take longer too, or leave two thirds of the
// size.
const zipLevel = gzip.BestSpeed

var zippers = sync.Pool{New: func() any { return newZipper(zipLevel) }}

func newZipper(level int) *gzip.Writer {
	w, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		panic(err) // not a valid level
	}
	return w
}
