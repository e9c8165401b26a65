package sessionstate

import (
	"encoding/binary"
	"unsafe"
)

// item is a key and what is cached of it, the session's stored form, in one piece
// of memory: behind the length of each, as varints. The form of a session that is
// known to be absent is empty. Two strings of their own, or two pieces, would take
// a third more memory, and who looks up a session would wait for it twice.
type item struct{ bytes *byte }

// longestUnlinked is how long the stored form can be without links: what
// [AppendSession] may write for a head and [MaxSegments].
const longestUnlinked = sessionHead + binary.MaxVarintLen64 + 1 +
	MaxSegments*(2+4*binary.MaxVarintLen64+3*8)

func newItem(key string, s *Session) item {
	var buffer [longestUnlinked]byte // append makes a larger one for links where it must
	form := buffer[:0]
	if s != absent {
		form = AppendSession(form, s)
	}
	var lengths [2 * binary.MaxVarintLen64]byte
	head := binary.AppendUvarint(binary.AppendUvarint(lengths[:0], uint64(len(key))), uint64(len(form)))
	b := make([]byte, len(head)+len(key)+len(form))
	copy(b[copy(b, head):], key)
	copy(b[len(head)+len(key):], form)
	return item{&b[0]}
}

// parts returns the key and the stored form. The only way to get an item is
// newItem: it points to the beginning of an array that has two lengths and then
// as many bytes as they say. Nobody writes to it any more.
func (it item) parts() (key string, form []byte) {
	p := unsafe.Pointer(it.bytes)
	keyLength, n := length(p)
	formLength, m := length(unsafe.Add(p, n))
	texts := unsafe.Slice(it.bytes, n+m+keyLength+formLength)[n+m:]
	return unsafe.String(unsafe.SliceData(texts), keyLength), texts[keyLength:]
}

// length reads a varint, and says how many bytes it has.
func length(p unsafe.Pointer) (value, bytes int) {
	value = int(*(*byte)(p))
	if value < 0x80 {
		return value, 1
	}
	value &= 0x7f
	for bytes = 1; ; bytes++ {
		b := int(*(*byte)(unsafe.Add(p, bytes)))
		if value |= b & 0x7f << (7 * bytes); b < 0x80 {
			return value, bytes + 1
		}
	}
}

func (it item) key() string {
	key, _ := it.parts()
	return key
}

// version returns the session's version, 0 of one that is absent.
func (it item) version() Version {
	_, form := it.parts()
	version, _ := SessionVersion(form)
	return version
}
