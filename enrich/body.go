package enrich

import "io"

// Body is a changed body as a list of pieces: parts of the original body, and
// between them the inserted texts. The pieces are not joined, because sending the
// body copies it anyway. A Body refers to the memory of the original body, which
// must not change while the Body is in use.
type Body [][]byte

// Len returns its length in bytes.
func (b Body) Len() int {
	n := 0
	for _, piece := range b {
		n += len(piece)
	}
	return n
}

// Bytes returns a copy of the whole body.
func (b Body) Bytes() []byte {
	out := make([]byte, 0, b.Len())
	for _, piece := range b {
		out = append(out, piece...)
	}
	return out
}

// Reader returns a reader of the body, from its beginning.
func (b Body) Reader() io.Reader { return &bodyReader{pieces: b} }

type bodyReader struct {
	pieces Body
	at     int // in the first piece
}

// Read implements [io.Reader]. It fills p across pieces.
func (r *bodyReader) Read(p []byte) (n int, err error) {
	for len(r.pieces) > 0 && n < len(p) {
		copied := copy(p[n:], r.pieces[0][r.at:])
		n += copied
		if r.at += copied; r.at == len(r.pieces[0]) {
			r.pieces, r.at = r.pieces[1:], 0
		}
	}
	if n == 0 && len(r.pieces) == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
