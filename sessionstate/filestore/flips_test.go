package filestore_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

// TestFlippedBytes flips bytes of each page, a few at a time.
func TestFlippedBytes(t *testing.T) {
	f := newSample(t, 60)
	page := os.Getpagesize()
	random := rand.New(rand.NewPCG(11, 12))
	var aside, served, lost int
	for from := 0; from < len(f.bytes); from += page {
		for try := range 4 {
			damaged := bytes.Clone(f.bytes)
			for range 1 << (2 * try) {
				damaged[from+random.IntN(page)] ^= byte(1 + random.IntN(255))
			}
			t.Run(fmt.Sprintf("page %d, %d bytes", from/page, 1<<(2*try)), func(t *testing.T) {
				out := f.reopen(t, damaged)
				if out.aside {
					aside++
				} else {
					served++
					lost += out.lost
				}
			})
		}
	}
	t.Logf("%d of %d bytes: set aside %d times, served %d times; %d sessions lost in those", len(f.bytes), page, aside, served, lost)
}

// TestFlippedHeads flips bytes of page headers.
func TestFlippedHeads(t *testing.T) {
	f := newSample(t, 60)
	page := os.Getpagesize()
	random := rand.New(rand.NewPCG(13, 14))
	for from := 0; from < len(f.bytes); from += page {
		// The header of the page, and of the first element.
		for at := range 32 {
			if at%4 != from/page%4 {
				continue
			}
			damaged := bytes.Clone(f.bytes)
			damaged[from+at] ^= 1 << random.IntN(8)
			t.Run(fmt.Sprintf("page %d, byte %d", from/page, at), func(t *testing.T) { f.reopen(t, damaged) })
		}
	}
}

// TestFlippedBranchKeys: a branch's key must equal the first key of its page in every
// bit.
func TestFlippedBranchKeys(t *testing.T) {
	f := newSample(t, 60)
	page := os.Getpagesize()
	branches := 0
	for from := 2 * page; from < len(f.bytes); from += page {
		p := f.bytes[from : from+page]
		if binary.NativeEndian.Uint16(p[8:]) != 1 {
			continue
		}
		branches++
		for i := range int(binary.NativeEndian.Uint16(p[10:])) {
			e := 16 + 16*i
			end := e + int(binary.NativeEndian.Uint32(p[e:])+binary.NativeEndian.Uint32(p[e+4:]))
			damaged := bytes.Clone(f.bytes)
			damaged[from+end-1] ^= 1
			t.Run(fmt.Sprintf("page %d, key %d", from/page, i), func(t *testing.T) {
				if out := f.reopen(t, damaged); !out.aside && out.lost > 0 {
					t.Errorf("%d sessions are lost", out.lost)
				}
			})
		}
	}
	if branches == 0 {
		t.Error("there are no branch pages")
	}
}

// TestEmptiedPages has pages whose header says that they are empty, or has no kind.
func TestEmptiedPages(t *testing.T) {
	page := os.Getpagesize()
	for _, users := range []int{8, 60} { // in one page, and in many
		f := newSample(t, users)
		for from := 0; from < len(f.bytes); from += page {
			for at := 8; at < 12; at += 2 {
				damaged := bytes.Clone(f.bytes)
				clear(damaged[from+at : from+at+2])
				t.Run(fmt.Sprintf("%d users, page %d, byte %d", users, from/page, at), func(t *testing.T) {
					if out := f.reopen(t, damaged); !out.aside && out.lost > 0 {
						t.Errorf("%d sessions are lost", out.lost)
					}
				})
			}
		}
	}
}

// TestCut truncates the file, at page boundaries and in between.
func TestCut(t *testing.T) {
	f := newSample(t, 60)
	page := os.Getpagesize()
	for length := 0; length < len(f.bytes); length += page / 2 {
		for _, length := range []int{length, length + 1} {
			t.Run(fmt.Sprint(length), func(t *testing.T) {
				out := f.reopen(t, f.bytes[:length])
				if length == 0 && out.aside {
					t.Error("an empty file was set aside")
				}
				if length > 0 && !out.aside && out.lost > 0 {
					t.Errorf("%d sessions are lost", out.lost)
				}
			})
		}
	}
}

// TestCutAndGrown: as a crash leaves it if the file system had written the length, but
// not the data.
func TestCutAndGrown(t *testing.T) {
	f := newSample(t, 60)
	page := os.Getpagesize()
	for length := page; length < len(f.bytes); length += page {
		damaged := make([]byte, len(f.bytes))
		copy(damaged, f.bytes[:length])
		t.Run(fmt.Sprint("behind page ", length/page), func(t *testing.T) { f.reopen(t, damaged) })
		lost := bytes.Clone(f.bytes)
		clear(lost[length : length+page])
		t.Run(fmt.Sprint("page ", length/page), func(t *testing.T) { f.reopen(t, lost) })
	}
}
