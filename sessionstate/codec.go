package sessionstate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Sessions are stored as bytes, compact and in an order that shows nothing of
// the process that wrote them:
//
//	format   1 byte, 2 or 3
//	version  8 bytes, big endian, so that a store can compare it
//	seen     varint, behind a thousandth of the version, which grows with time
//	head     1 byte: number of segments, and 0x80 if older ones were dropped
//	segments, each:
//	  shape  2 bytes: mode, origin, and which of the fields below are there
//	  from   varint, behind the last segment's, the first one's behind seen
//	  id     varint, behind from
//	  last   varint, behind from
//	  mark   8 bytes
//	  cause  8 bytes
//	  user   8 bytes
//	  userAt varint, behind from
//
// And in format 3, which has links or SDK's sessions:
//
//	names    1 byte: how many different ones links have; each: uvarint length, text
//	links    1 byte: how many; each:
//	  of     1 byte: which name
//	  from   varint, behind the last one's, the first one's behind seen
//	  last   varint, behind from
//	sdk      1 byte: how many, and 0x80 if a timeout follows; each:
//	  from   varint, behind the last one's, the first one's behind seen
//	  last   varint, behind from
//	  id     varint, behind from
//	timeout  varint
//	cutoff   varint
//
// Ids and times lie near each other, so that differences are short. A later
// format has another first byte, and whoever writes it reads this one too.
//
// Format 1 had seen and the first segment's from as they are.
const (
	sessionFormat = 2
	linkedFormat  = 3
)

// sessionHead is how many bytes there are before seen.
const sessionHead = 1 + 8

const (
	dropped = 0x80

	modeBits   = 0
	originBits = 3
	hasID      = 1 << 6
	hasLast    = 1 << 7
	hasMark    = 1 << 8
	hasCause   = 1 << 9
	// causeIsMark: the message that began the segment carries its mark.
	causeIsMark = 1 << 10
	hasUser     = 1 << 11
	hasUserAt   = 1 << 12
)

// ErrFormat says that stored bytes are no session.
var ErrFormat = errors.New("stored session is not readable")

// AppendSession appends the stored form of a session.
func AppendSession(b []byte, s *Session) []byte {
	linked := len(s.Links) > 0 || len(s.SDK) > 0
	if linked {
		b = append(b, linkedFormat)
	} else {
		b = append(b, sessionFormat)
	}
	b = binary.BigEndian.AppendUint64(b, s.Version)
	b = binary.AppendVarint(b, s.Seen-int64(s.Version/1000))
	head := byte(len(s.Segments))
	if s.Truncated {
		head |= dropped
	}
	b = append(b, head)
	from := s.Seen
	for i := range s.Segments {
		b = s.Segments[i].append(b, from)
		from = s.Segments[i].From
	}
	if linked {
		b = s.appendLinks(b)
	}
	return b
}

func (s *Segment) append(b []byte, from int64) []byte {
	shape := uint16(s.Mode)<<modeBits | uint16(s.Origin)<<originBits
	has := func(bit uint16, there bool) bool {
		if there {
			shape |= bit
		}
		return there
	}
	at := len(b)
	b = append(b, 0, 0)
	// Differences wrap around, and back.
	b = binary.AppendVarint(b, s.From-from)
	if has(hasID, s.ID != 0) {
		b = binary.AppendVarint(b, s.ID-s.From)
	}
	if has(hasLast, s.Last != 0) {
		b = binary.AppendVarint(b, s.Last-s.From)
	}
	if has(hasMark, s.Mark != 0) {
		b = binary.LittleEndian.AppendUint64(b, uint64(s.Mark))
	}
	if !has(causeIsMark, s.Cause != 0 && s.Cause == s.Mark) && has(hasCause, s.Cause != 0) {
		b = binary.LittleEndian.AppendUint64(b, uint64(s.Cause))
	}
	if has(hasUser, s.User != 0) {
		b = binary.LittleEndian.AppendUint64(b, uint64(s.User))
	}
	if has(hasUserAt, s.UserAt != 0) {
		b = binary.AppendVarint(b, s.UserAt-s.From)
	}
	binary.LittleEndian.PutUint16(b[at:], shape)
	return b
}

// SessionVersion returns the version of a session in its stored form. The error
// is ErrNewer or ErrFormat.
func SessionVersion(b []byte) (uint64, error) {
	switch {
	case len(b) < sessionHead || b[0] < 1 || b[0] > lastFormat:
		return 0, ErrFormat
	case b[0] > ReadFormat:
		return 0, ErrNewer
	}
	return binary.BigEndian.Uint64(b[1:]), nil
}

// DecodeSession reads the stored form of a session. Nothing of b is kept. The
// error is ErrNewer, or has ErrFormat in it.
func DecodeSession(b []byte) (*Session, error) {
	s := new(Session)
	if err := decodeSession(b, s); err != nil {
		return nil, err
	}
	for i := range s.Links {
		s.Links[i].Of = strings.Clone(s.Links[i].Of)
	}
	return s, nil
}

// decodeSession does so into s, whose lists it overwrites. The texts of Links are
// parts of b, which nobody may change from then on.
func decodeSession(b []byte, s *Session) (err error) {
	if s.Version, err = SessionVersion(b); err != nil {
		return err
	}
	d := decoder{rest: b[sessionHead:]}
	s.Seen = d.varint()
	from := int64(0)
	if b[0] != 1 {
		s.Seen += int64(s.Version / 1000)
		from = s.Seen
	}
	head := d.take(1)
	if d.short {
		return ErrFormat
	}
	s.Truncated = head[0]&dropped != 0
	n := int(head[0] &^ dropped)
	if n > MaxSegments {
		return fmt.Errorf("%w: %d segments", ErrFormat, n)
	}
	s.Segments = s.Segments[:0]
	if cap(s.Segments) < n {
		s.Segments = make([]Segment, 0, n)
	}
	for range n {
		s.Segments = append(s.Segments, d.segment(from))
		from = s.Segments[len(s.Segments)-1].From
	}
	s.Links, s.SDK, s.Timeout, s.Cutoff = s.Links[:0], s.SDK[:0], 0, 0
	if b[0] == linkedFormat {
		d.links(s)
	}
	if d.short || len(d.rest) > 0 {
		return ErrFormat
	}
	return nil
}

type decoder struct {
	rest  []byte
	short bool
}

func (d *decoder) segment(from int64) (s Segment) {
	shape := binary.LittleEndian.Uint16(d.take(2))
	s.Mode = Mode(shape >> modeBits & 7)
	s.Origin = Origin(shape >> originBits & 7)
	s.From = from + d.varint()
	if shape&hasID != 0 {
		s.ID = s.From + d.varint()
	}
	if shape&hasLast != 0 {
		s.Last = s.From + d.varint()
	}
	if shape&hasMark != 0 {
		s.Mark = MessageID(d.uint64())
	}
	if shape&causeIsMark != 0 {
		s.Cause = s.Mark
	} else if shape&hasCause != 0 {
		s.Cause = MessageID(d.uint64())
	}
	if shape&hasUser != 0 {
		s.User = UserID(d.uint64())
	}
	if shape&hasUserAt != 0 {
		s.UserAt = s.From + d.varint()
	}
	return s
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.short, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) uint64() uint64 { return binary.LittleEndian.Uint64(d.take(8)) }

// take returns the next n bytes, at most 8; zeros where there are not as many.
func (d *decoder) take(n int) []byte {
	if len(d.rest) < n {
		d.short, d.rest = true, nil
		return make([]byte, 8)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

// SessionSeen returns when a session in its stored form was last seen, in Unix
// milliseconds.
func SessionSeen(b []byte) (int64, error) {
	version, err := SessionVersion(b)
	if err != nil {
		return 0, err
	}
	seen, n := binary.Varint(b[sessionHead:])
	if n <= 0 {
		return 0, ErrFormat
	}
	if b[0] != 1 {
		seen += int64(version / 1000)
	}
	return seen, nil
}
