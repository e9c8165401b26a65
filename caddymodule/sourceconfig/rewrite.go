package sourceconfig

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/rudder-session/rudder-session/enrich"
)

// encoding is how a body is compressed.
type encoding uint8

const (
	identity encoding = iota
	gzipped
	unknown
)

func encodingOf(h http.Header) encoding {
	switch strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ","))) {
	case "", "identity":
		return identity
	case "gzip", "x-gzip":
		return gzipped
	}
	return unknown
}

var byteOrderMark = []byte("\ufeff")

// rewrite returns the body to send instead, with the same encoding; nil if nothing
// changes or why.read() is false.
func (h *Handler) rewrite(body []byte, e encoding) (changed []byte, why reason) {
	text := body
	if e == gzipped {
		if text, why = gunzip(body, h.maxBody); why != "" {
			return nil, why
		}
	}
	// SDKs' JSON parsers skip a byte order mark.
	text, hasMark := bytes.CutPrefix(text, byteOrderMark)
	edited, valid, why := h.edit(text)
	switch {
	case !valid:
		return nil, notJSON
	case edited == nil:
		return nil, noDataPlanes
	}
	if hasMark {
		edited = append(enrich.Body{byteOrderMark}, edited...)
	}
	if e == gzipped {
		return zip(edited), why
	}
	return edited.Bytes(), why
}

// edit removes source.dataplanes, or replaces the URLs in it.
func (h *Handler) edit(text []byte) (edited enrich.Body, valid bool, why reason) {
	if h.dataPlane == "" {
		edited, valid = enrich.RemoveMembers(text, "source", "dataplanes")
		return edited, valid, removed
	}
	edited, valid = enrich.ReplaceStrings(text, func(key, value string) (string, bool) {
		return h.dataPlane, key == "url" || isURL(value)
	}, "source", "dataplanes")
	return edited, valid, replaced
}

func isURL(text string) bool {
	scheme, _, found := strings.Cut(text, "://")
	return found && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http"))
}

var (
	unzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zippers   = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
)

// gunzip decodes a body, or returns why not: it is damaged, or decodes to more than
// max bytes.
func gunzip(body []byte, max int) ([]byte, reason) {
	unzipper := unzippers.Get().(*gzip.Reader)
	defer unzippers.Put(unzipper)
	if unzipper.Reset(bytes.NewReader(body)) != nil {
		return nil, otherEncoding
	}
	text, err := io.ReadAll(io.LimitReader(unzipper, int64(max)+1))
	switch {
	case len(text) > max:
		return nil, tooLarge
	case err != nil:
		return nil, otherEncoding
	}
	return text, ""
}

func zip(body enrich.Body) []byte {
	zipper := zippers.Get().(*gzip.Writer)
	defer zippers.Put(zipper)
	var out bytes.Buffer
	zipper.Reset(&out)
	for _, piece := range body {
		_, _ = zipper.Write(piece) // into memory
	}
	_ = zipper.Close()
	return out.Bytes()
}
