package filestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
	"slices"
)

// bbolt trusts its file. With a damaged one it may return wrong sessions, overwrite
// others, or use all memory. So the file is first read by the code below, which trusts
// nothing. Its format:
//
//	page    id 8 bytes, flags 2, count 2, overflow (further pages) 4, then its elements
//	meta    magic 4, version 4, page size 4, flags 4, root 8, sequence 8,
//	        free list 8, end 8, transaction 8, FNV-1a of all that 8
//	branch  elements: position of the key 4, its size 4, page 8
//	leaf    elements: flags 4, position of the key 4, its size 4, size of the value behind it 4
//	bucket  a value: root 8, sequence 8; if root is 0, a page with the whole bucket follows
//
// Positions count from the start of their element. Keys and values follow the elements,
// in the same order and without gaps.
const (
	branchPage   = 1
	leafPage     = 2
	metaPage     = 4
	freelistPage = 16

	pageHead    = 16
	elementSize = 16
	bucketHead  = 16
	bucketFlag  = 1

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = 1<<64 - 1
	maxDepth    = 64
)

var native = binary.NativeEndian

// verifier reads a file. Its methods panic with a damage or a newer.
type verifier struct {
	file     io.ReaderAt
	size     int64
	pageSize uint64
	end      uint64   // the first page beyond those in use
	reached  []uint64 // a bit for each page that was reached
	root     uint64
	freelist uint64
	// value is called with each pair, and the names of the buckets that contain it.
	value func(buckets [][]byte, key, value []byte) error
}

// damage and newer are panics that verify turns into ErrDamaged and ErrNewer.
type (
	damage struct{ error }
	newer  struct{ error }
)

// refuse stops because of a value.
func (v *verifier) refuse(err error) {
	if errors.Is(err, ErrNewer) {
		panic(newer{err})
	}
	panic(damage{err})
}

func (v *verifier) fail(format string, args ...any) { panic(damage{fmt.Errorf(format, args...)}) }

// verify reads all of a file, and calls value for each pair in its buckets. It returns
// errForeign if the file is not a bbolt file with a free list, and ErrDamaged if it is
// one but is damaged. If value returns an error, verify returns that if it is an
// ErrNewer, and otherwise ErrDamaged.
func verify(file io.ReaderAt, size int64, value func(buckets [][]byte, key, value []byte) error) (err error) {
	v := &verifier{file: file, size: size, value: value}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case newer:
			err = r.error
		case damage:
			err = fmt.Errorf("%w: %w", ErrDamaged, r.error)
		default:
			panic(r)
		}
	}()
	if !v.meta() {
		return errForeign
	}
	v.reached = make([]uint64, v.end/64+1)
	v.reach(0, 2)
	v.free()
	v.tree(v.root, nil, nil, nil, 0)
	// A page that was not reached is lost space, and does no harm.
	return nil
}

// meta reads the newest valid one of the two meta pages.
func (v *verifier) meta() (found bool) {
	var newest uint64
	for at := int64(0); at <= 1<<24 && at < v.size; at = max(2*at, 1024) {
		head := make([]byte, pageHead+64)
		if _, err := v.file.ReadAt(head, at); err != nil {
			continue
		}
		m := head[pageHead:]
		sum := fnv.New64a()
		sum.Write(m[:56])
		if native.Uint32(m) != boltMagic || native.Uint32(m[4:]) != boltVersion || native.Uint64(m[56:]) != sum.Sum64() {
			continue
		}
		pageSize := uint64(native.Uint32(m[8:]))
		id := native.Uint64(head)
		if pageSize < 1024 || bits.OnesCount64(pageSize) != 1 || id > 1 || int64(id*pageSize) != at {
			continue
		}
		if tx := native.Uint64(m[48:]); !found || tx > newest {
			found, newest = true, tx
			v.pageSize, v.root, v.freelist, v.end = pageSize, native.Uint64(m[16:]), native.Uint64(m[32:]), native.Uint64(m[40:])
		}
	}
	if !found || v.freelist == noFreelist {
		return false
	}
	if v.end < 4 || v.end > uint64(v.size)/v.pageSize {
		v.fail("the file ends before page %d", v.end)
	}
	return true
}

// reach marks pages as reached, which must happen only once for each.
func (v *verifier) reach(id, n uint64) {
	if id >= v.end || n > v.end-id {
		v.fail("page %d is out of bounds", id)
	}
	for ; n > 0; id, n = id+1, n-1 {
		if v.reached[id/64]&(1<<(id%64)) != 0 {
			v.fail("page %d is in two places", id)
		}
		v.reached[id/64] |= 1 << (id % 64)
	}
}

// page reads a page with its overflow pages.
func (v *verifier) page(id uint64) []byte {
	v.reach(id, 1)
	p := make([]byte, v.pageSize)
	if _, err := v.file.ReadAt(p, int64(id*v.pageSize)); err != nil {
		v.fail("page %d: %w", id, err)
	}
	if native.Uint64(p) != id {
		v.fail("page %d is another", id)
	}
	if more := uint64(native.Uint32(p[12:])); more > 0 {
		v.reach(id+1, more)
		p = append(p, make([]byte, more*v.pageSize)...)
		if _, err := v.file.ReadAt(p[v.pageSize:], int64((id+1)*v.pageSize)); err != nil {
			v.fail("page %d: %w", id, err)
		}
	}
	return p
}

func (v *verifier) free() {
	p := v.page(v.freelist)
	if native.Uint16(p[8:]) != freelistPage {
		v.fail("page %d is no free list", v.freelist)
	}
	n, ids := uint64(native.Uint16(p[10:])), p[pageHead:]
	if n == 0xFFFF {
		n, ids = native.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids))/8 {
		v.fail("the free list is too long")
	}
	for ; n > 0; n, ids = n-1, ids[8:] {
		v.reach(native.Uint64(ids), 1)
	}
}

// tree reads a subtree, whose keys must be at least low and less than high.
func (v *verifier) tree(id uint64, buckets [][]byte, low, high []byte, depth int) {
	if depth > maxDepth {
		v.fail("page %d is too deep", id)
	}
	v.elements(v.page(id), id, buckets, low, high, depth)
}

func (v *verifier) elements(p []byte, id uint64, buckets [][]byte, low, high []byte, depth int) {
	flags, n := native.Uint16(p[8:]), int(native.Uint16(p[10:]))
	if flags != leafPage && flags != branchPage || flags == branchPage && n == 0 {
		v.fail("page %d has type %d, %d elements", id, flags, n)
	}
	// An empty bucket has one page, which is empty.
	if n == 0 && (low != nil || slices.ContainsFunc(p[pageHead:], func(b byte) bool { return b != 0 })) {
		v.fail("page %d has no elements", id)
	}
	at := pageHead + n*elementSize
	if at > len(p) {
		v.fail("page %d has %d elements", id, n)
	}
	// take returns the next key or value.
	take := func(size uint32) []byte {
		if int64(size) > int64(len(p)-at) {
			v.fail("page %d has an element of %d bytes", id, size)
		}
		at += int(size)
		return p[at-int(size) : at]
	}
	var last []byte
	var child uint64
	for i := range n {
		e := p[pageHead+i*elementSize:]
		position := native.Uint32(e)
		if flags == leafPage {
			position = native.Uint32(e[4:])
		}
		if int64(position) != int64(at-pageHead-i*elementSize) {
			v.fail("page %d has an element at %d", id, position)
		}
		var key []byte
		if flags == branchPage {
			key = take(native.Uint32(e[4:]))
		} else {
			key = take(native.Uint32(e[8:]))
		}
		// A page's first key is the same as its key in the parent page, by which bbolt
		// finds the parent's entry when the page moves.
		if i > 0 && bytes.Compare(key, last) <= 0 || i == 0 && low != nil && !bytes.Equal(key, low) || high != nil && bytes.Compare(key, high) >= 0 {
			v.fail("page %d is out of order", id)
		}
		if flags == branchPage {
			if i > 0 {
				v.tree(child, buckets, last, key, depth+1)
			}
			child = native.Uint64(e[8:])
		} else {
			v.leaf(id, buckets, native.Uint32(e), key, take(native.Uint32(e[12:])), depth)
		}
		last = key
	}
	if flags == branchPage {
		v.tree(child, buckets, last, high, depth+1)
	}
}

func (v *verifier) leaf(id uint64, buckets [][]byte, flags uint32, key, value []byte, depth int) {
	switch {
	case flags == 0:
		if err := v.value(buckets, key, value); err != nil {
			v.refuse(err)
		}
	case flags != bucketFlag || len(value) < bucketHead || depth > maxDepth:
		v.fail("page %d has an element of type %d", id, flags)
	default:
		buckets = append(buckets[:len(buckets):len(buckets)], key)
		if root := native.Uint64(value); root != 0 {
			v.tree(root, buckets, nil, nil, depth+1)
		} else if inline := value[bucketHead:]; len(inline) < pageHead || native.Uint16(inline[8:]) != leafPage {
			v.fail("page %d has a bucket that is none", id)
		} else {
			v.elements(inline, id, buckets, nil, nil, depth+1)
		}
	}
}
