package enrich

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// stopsOf computes the expected document.stops, a byte at a time.
func stopsOf(b []byte) []uint64 {
	stops := make([]uint64, len(b)/64)
	for i, c := range b[:len(stops)*64] {
		if c == '"' || c == '\\' || c < ' ' {
			stops[i/64] |= 1 << (i % 64)
		}
	}
	return stops
}

func TestMarkStops(t *testing.T) {
	marks := map[string]func(stops []uint64, b []byte){"here": markStops, "Go": markStopsGo}
	for name, mark := range moreMarks {
		marks[name] = mark
	}
	random := rand.New(rand.NewPCG(1, 2))
	for name, mark := range marks {
		t.Run(name, func(t *testing.T) {
			// Every byte at every position, with all kinds of neighbours.
			for c := range 256 {
				for at := range 64 {
					b := make([]byte, 64)
					for i := range b {
						b[i] = byte(random.Uint32())
					}
					b[at] = byte(c)
					checkMark(t, mark, b)
				}
			}
			for size := range 300 {
				const kinds = "a\"\\\x00\x1f \x7f\x80\xff!#[]"
				b := make([]byte, size)
				for i := range b {
					b[i] = kinds[random.IntN(len(kinds))]
				}
				checkMark(t, mark, b)
			}
		})
	}
}

func checkMark(t *testing.T, mark func(stops []uint64, b []byte), b []byte) {
	t.Helper()
	want := append(stopsOf(b), 0xaaaa)
	got := make([]uint64, len(want))
	got[len(got)-1] = 0xaaaa // the part after the last whole block is not written
	if mark(got, b); !slices.Equal(got, want) {
		t.Fatalf("%q:\n%x, not\n%x", b, got, want)
	}
}

// The end of a string is found for every length and start, and so is the end of a body
// with an unterminated string.
func TestStringEnds(t *testing.T) {
	for before := range 70 {
		for length := range 200 {
			body := fmt.Appendf(nil, "%*s%q", before, "", fmt.Sprintf("%0*d", length, 0)[:length])
			var d document
			d.reset(body)
			if end, escaped := d.scanString(before); end != len(body) || escaped {
				t.Fatalf("%d spaces, %d bytes: %d", before, length, end)
			}
			d.reset(body[:len(body)-1])
			if end, _ := d.scanString(before); end >= 0 {
				t.Fatalf("%d spaces, %d bytes, no quote: %d", before, length, end)
			}
		}
	}
}
