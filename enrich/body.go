package enrich

import "io"

// Body is a changed body in pieces: those of the body that it was made of, and
// between them what was put in. It is not copied together, because whoever
// sends it copies it anyway. It shares the memory of the body that it was made
// of, which must stay as it is for as long as the Body is used.
type Body [][]byte

// Len returns its length in bytes.
func (b Body) Len() int {
	n := 0
	for _, piece := range b {
		n += len(piece)
	}
	return n
}

// Bytes copies the pieces together.
func (b Body) Bytes() []byte {
	out := make([]byte, 0, b.Len())
	for _, piece := range b {
		out = append(out, piece...)
	}
	return out
}

// Reader reads it from the beginning.
func (b Body) Reader() io.Reader { return &bodyReader{pieces: b} }

type bodyReader struct {
	pieces Body
	at     int // in the first piece
}

// Read fills p from as many pieces as it takes.
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
