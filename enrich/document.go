package enrich

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// document is a body and the positions at which strings can end. They are marked
// once, many bytes at a time, so that strings need not be read byte by byte.
type document struct {
	b []byte
	// stops has a bit for each byte of b. It is set where a sequence of plain string
	// bytes ends: at a quote, a backslash or a control character, and after the
	// last byte.
	stops []uint64
}

// reset sets the body.
func (d *document) reset(b []byte) {
	n := len(b)/64 + 2
	if cap(d.stops) < n {
		d.stops = make([]uint64, n+n/4)
	}
	d.b, d.stops = b, d.stops[:n]
	markStops(d.stops, b)
	last := quotes
	copy(last[:], b[len(b)&^63:])
	markStops(d.stops[n-2:], last[:])
	d.stops[n-1] = 1 // a sentinel: next stops here
}

var quotes = [64]byte(bytes.Repeat([]byte{'"'}, 64))

// stopAt returns the index of the first stop from i on if it is within the next 64
// bytes, and else i+64. Most strings end within 64 bytes. It combines two words,
// because to look at the rest of one word first would take another branch, which
// the processor cannot predict.
func stopAt(stops []uint64, i int) int {
	at := uint(i) >> 6
	if at+1 >= uint(len(stops)) {
		return i
	}
	return i + bits.TrailingZeros64(stops[at]>>(uint(i)&63)|stops[at+1]<<1<<(^uint(i)&63))
}

// seek returns the stops from i on: the index of a word, and the bits of it that are
// not before i. All words after it count too.
func seek(stops []uint64, i int) (at uint, ahead uint64) {
	at = uint(i) >> 6
	if at >= uint(len(stops)) {
		return at, 0
	}
	return at, stops[at] &^ (1<<(uint(i)&63) - 1)
}

// next goes on to the next word that has a stop, if there is none left in ahead. The
// last word always has one.
func next(stops []uint64, at uint, ahead uint64) (uint, uint64) {
	for ahead == 0 && at+1 < uint(len(stops)) {
		at++
		ahead = stops[at]
	}
	return at, ahead
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// markStopsGo marks the stops of all whole blocks of 64 bytes.
func markStopsGo(stops []uint64, b []byte) {
	for ; len(b) >= 64; b = b[64:] {
		m := uint64(0)
		for i := 0; i < 64; i += 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			quote, slash, control := x^eachByte*'"', x^eachByte*'\\', x&(eachByte*0xe0)
			plain := nonZero(quote) & nonZero(slash) & nonZero(control)
			m |= (^plain & highBits) >> 7 * 0x0102040810204080 >> 56 << i
		}
		stops[0], stops = m, stops[1:]
	}
}

// nonZero sets the high bit of each byte that is not zero. The other bits of the
// result have no meaning.
func nonZero(x uint64) uint64 { return x&^highBits + (eachByte * 0x7f) | x }
