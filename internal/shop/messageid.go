package shop

import "encoding/hex"

// MessageID is the content of a generated message's id. It is written as a UUID of
// version 4, as SDKs' message ids are:
//
//	hhhhhhhh-ddkk-4vvv-bnnn-cccccccccccc
//
// with the household h, the device d, its kind k, the visit v, the event's number n
// in it, b = 8 for an event of a device and 9 for one of the backend, and c a hash
// of the rest. All are hexadecimal.
type MessageID struct {
	// Household is the number of its first user.
	Household uint32
	// Device is which of the household's devices it is, from 0.
	Device uint8
	Kind   Kind
	// Visit is which of the device's visits the event belongs to, from 1. It is 0
	// for an event of the backend that happened during no visit of its user.
	Visit uint16
	// Number distinguishes the events of a visit, and the backend's events of a
	// household. Visit and Number have 12 bits.
	Number  uint16
	Backend bool
}

// bytes returns the 16 bytes of the UUID.
func (m MessageID) bytes() (b [16]byte) {
	b[0], b[1], b[2], b[3] = byte(m.Household>>24), byte(m.Household>>16), byte(m.Household>>8), byte(m.Household)
	b[4], b[5] = m.Device, byte(m.Kind)
	b[6], b[7] = 0x40|byte(m.Visit>>8)&0x0f, byte(m.Visit)
	b[8], b[9] = 0x80|byte(m.Number>>8)&0x0f, byte(m.Number)
	if m.Backend {
		b[8] |= 0x10
	}
	var head, tail uint64
	for i := range 8 {
		head = head<<8 | uint64(b[i])
	}
	tail = mix(head ^ mix(uint64(b[8])<<8|uint64(b[9])))
	for i := 15; i >= 10; i-- {
		b[i] = byte(tail)
		tail >>= 8
	}
	return b
}

// Append appends the id as text.
func (m MessageID) Append(b []byte) []byte {
	return appendUUID(b, m.bytes())
}

// ParseMessageID reads a message's id. ok is false if this package did not make it.
func ParseMessageID(text string) (m MessageID, ok bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return m, false
	}
	var b [16]byte
	n := 0
	for _, group := range [...]string{text[:8], text[9:13], text[14:18], text[19:23], text[24:]} {
		k, err := hex.Decode(b[n:], []byte(group))
		if err != nil {
			return m, false
		}
		n += k
	}
	m = MessageID{
		Household: uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]),
		Device:    b[4],
		Kind:      Kind(b[5]),
		Visit:     uint16(b[6]&0x0f)<<8 | uint16(b[7]),
		Number:    uint16(b[8]&0x0f)<<8 | uint16(b[9]),
		Backend:   b[8]&0x10 != 0,
	}
	return m, m.Kind < kinds && m.bytes() == b
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// randomUUID derives a UUID of version 4 from a number.
func randomUUID(of uint64) (b [16]byte) {
	high, low := mix(of), mix(of+1)
	for i := range 8 {
		b[i], b[8+i] = byte(high>>(8*i)), byte(low>>(8*i))
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b
}

func appendUUID(b []byte, u [16]byte) []byte {
	b = hex.AppendEncode(b, u[:4])
	for _, group := range [...][2]int{{4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		b = append(b, '-')
		b = hex.AppendEncode(b, u[group[0]:group[1]])
	}
	return b
}
