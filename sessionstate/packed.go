package sessionstate

import (
	"encoding/binary"
	"unsafe"
)

// packed is a cached session: its stored form, behind its length as a varint;
// nil stands for one that is known to be absent. A slice would be two words
// longer, which is a twelfth of what a session takes in all.
type packed *byte

// longestUnlinked is how long the stored form can be without links: what
// [AppendSession] may write for a head and [MaxSegments].
const longestUnlinked = sessionHead + binary.MaxVarintLen64 + 1 +
	MaxSegments*(2+4*binary.MaxVarintLen64+3*8)

// longestLinks is how long they can be.
const longestLinks = 3 + MaxLinks*(2+longestLink) + MaxStretches*(1+5*binary.MaxVarintLen64)

// The length of both is at most two bytes long.
const _ = uint(1<<14 - 1 - longestUnlinked - longestLinks)

func pack(s *Session) packed {
	if s == absent {
		return nil
	}
	var buffer [longestUnlinked]byte // append makes a larger one for links where it must
	form := AppendSession(buffer[:0], s)
	var length [2]byte
	n := binary.PutUvarint(length[:], uint64(len(form)))
	b := make([]byte, n+len(form))
	copy(b[copy(b, length[:n]):], form)
	return &b[0]
}

// bytesOf returns the stored form; nothing of one that is absent.
func bytesOf(p packed) []byte {
	if p == nil {
		return nil
	}
	// The only way to get a packed that is not nil is pack: it points to the
	// beginning of an array that has a length of one byte or two, and then as
	// many bytes as that says. Nobody writes to it any more.
	n := int(*p)
	at := 1
	if n >= 0x80 {
		n = n&0x7f | int(*(*byte)(unsafe.Add(unsafe.Pointer(p), 1)))<<7
		at = 2
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(p), at)), n)
}

// versionOf returns the version, 0 of what is absent.
func versionOf(p packed) uint64 {
	version, _ := SessionVersion(bytesOf(p))
	return version
}
