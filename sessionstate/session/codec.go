package session

import (
	"encoding/binary"
	"strings"
)

// The stored form of a session, which is the same whatever process writes it.
// Format 4:
//
//	format   1 byte, 4
//	version  8 bytes, big endian, so that a store can compare it
//	seen     varint, relative to the version's milliseconds
//	head     1 byte: number of segments, and 0x80 if older ones were dropped
//	parts    1 byte: which of the parts below are there (parts* constants)
//	lags     for each of the two clocks: lag varint; at varint, relative to seen
//	segments, each:
//	  shape  uvarint: mode, origin, clocks, and which of the fields are there
//	  from   moment, relative to the last segment's, the first one's to seen
//	  id     varint, relative to from
//	  mark   8 bytes
//	  cause  8 bytes
//	  user   8 bytes
//	  userAt, last, lastEnd   moments, relative to from
//	  lastEndBy 8 bytes
//	  restart moment, relative to from
//	links    as appendLinks has them
//	timeout, cutoff  varints
//	withoutID  1 byte: its clock; moment, relative to seen
//	noOps    MaxNoOps times 8 bytes
//
// A moment is its time (varint, relative) and, if it has a clock, its lag
// (varint, relative to the last lag of that clock) and its original (varint,
// relative to the time without the lag). Ids, times and lags are near each other, so
// that differences are short: a boundary takes 2 to 4 bytes more than its time alone.
//
// A later format has a greater first byte. A release that writes it also reads this one
// (format.go). Earlier formats are in codec_old.go.

// sessionHead is the number of bytes before seen.
const sessionHead = 1 + 8

// dropped is set in the head if older segments were dropped.
const dropped = 0x80

const (
	partLinks = 1 << iota
	partTimeout
	partWithoutID
	partNoOps
	partDeviceLag
	partServerLag
)

const (
	modeBits    = 0
	originBits  = 3
	fromBits    = 6
	hasID       = 1 << 8
	hasMark     = 1 << 9
	causeIsMark = 1 << 10 // the message that began the segment carries its mark
	hasCause    = 1 << 11
	hasUser     = 1 << 12
	hasUserAt   = 1 << 13
	userAtBits  = 14
	hasLast     = 1 << 16
	lastBits    = 17
	hasLastEnd  = 1 << 19
	lastEndBits = 20
	hasEndBy    = 1 << 22
	hasRestart  = 1 << 23
	restartBits = 24
	restartID   = 1 << 26
)

// Append appends the stored form of a session.
func Append(b []byte, s *Session) []byte {
	b = append(b, WriteFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Version))
	b = binary.AppendVarint(b, s.Seen-s.Version.Millis())
	head := byte(len(s.Segments))
	if s.Truncated {
		head |= dropped
	}
	parts := s.parts()
	e := encoder{b: append(b, head, parts)}
	for i, lag := range s.Lags {
		if parts&(partDeviceLag<<i) != 0 {
			e.b = binary.AppendVarint(binary.AppendVarint(e.b, lag.Lag), lag.At-s.Seen)
			e.lags[i] = lag.Lag
		}
	}
	from := s.Seen
	for i := range s.Segments {
		e.segment(&s.Segments[i], from)
		from = s.Segments[i].From.Time
	}
	if parts&partLinks != 0 {
		e.b = s.appendLinks(e.b)
	}
	if parts&partTimeout != 0 {
		e.b = binary.AppendVarint(binary.AppendVarint(e.b, s.Timeout), s.Cutoff)
	}
	if parts&partWithoutID != 0 {
		e.b = append(e.b, byte(s.WithoutID.Clock))
		e.moment(&s.WithoutID, s.Seen)
	}
	if parts&partNoOps != 0 {
		for _, m := range s.NoOps {
			e.b = binary.LittleEndian.AppendUint64(e.b, uint64(m))
		}
	}
	return e.b
}

func (s *Session) parts() (parts byte) {
	if len(s.Links) > 0 {
		parts |= partLinks
	}
	if s.Timeout != 0 {
		parts |= partTimeout
	}
	if !s.WithoutID.IsZero() {
		parts |= partWithoutID
	}
	if s.NoOps != [MaxNoOps]MessageID{} {
		parts |= partNoOps
	}
	if s.Lags[0].At != 0 {
		parts |= partDeviceLag
	}
	if s.Lags[1].At != 0 {
		parts |= partServerLag
	}
	return parts
}

type encoder struct {
	b    []byte
	lags [2]int64 // the last of each clock
}

// moment appends a moment without its clock. A difference may overflow: the decoder's
// sum overflows back.
func (e *encoder) moment(m *Moment, base int64) {
	e.b = binary.AppendVarint(e.b, m.Time-base)
	if m.Clock == NoClock {
		return
	}
	last := &e.lags[m.Clock.index()]
	e.b = binary.AppendVarint(e.b, m.Lag-*last)
	e.b = binary.AppendVarint(e.b, m.Original+m.Lag-m.Time)
	*last = m.Lag
}

func (e *encoder) uint64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

func (e *encoder) segment(s *Segment, from int64) {
	shape := s.shape()
	e.b = binary.AppendUvarint(e.b, shape)
	e.moment(&s.From, from)
	from = s.From.Time
	if shape&hasID != 0 {
		e.b = binary.AppendVarint(e.b, s.ID-from)
	}
	if shape&hasMark != 0 {
		e.uint64(uint64(s.Mark))
	}
	if shape&hasCause != 0 {
		e.uint64(uint64(s.Cause))
	}
	if shape&hasUser != 0 {
		e.uint64(uint64(s.User))
	}
	if shape&hasUserAt != 0 {
		e.moment(&s.UserAt, from)
	}
	if shape&hasLast != 0 {
		e.moment(&s.Last, from)
	}
	if shape&hasLastEnd != 0 {
		e.moment(&s.LastEnd, from)
	}
	if shape&hasEndBy != 0 {
		e.uint64(uint64(s.LastEndBy))
	}
	if shape&hasRestart != 0 {
		e.moment(&s.Restart, from)
	}
}

func (s *Segment) shape() uint64 {
	shape := uint64(s.Mode)<<modeBits | uint64(s.Origin)<<originBits | uint64(s.From.Clock)<<fromBits
	set := func(bit uint64, there bool) {
		if there {
			shape |= bit
		}
	}
	moment := func(bit uint64, clock int, m *Moment) {
		if !m.IsZero() {
			shape |= bit | uint64(m.Clock)<<clock
		}
	}
	set(hasID, s.ID != 0)
	set(hasMark, s.Mark != 0)
	set(causeIsMark, s.Cause != 0 && s.Cause == s.Mark)
	set(hasCause, s.Cause != 0 && s.Cause != s.Mark)
	set(hasUser, s.User != 0)
	moment(hasUserAt, userAtBits, &s.UserAt)
	moment(hasLast, lastBits, &s.Last)
	moment(hasLastEnd, lastEndBits, &s.LastEnd)
	set(hasEndBy, s.LastEndBy != 0)
	moment(hasRestart, restartBits, &s.Restart)
	set(restartID, s.RestartWithID)
	return shape
}

// VersionOf returns the version of a session in its stored form. The error is
// ErrNewer or ErrFormat.
func VersionOf(b []byte) (Version, error) {
	switch {
	case len(b) < sessionHead || b[0] < 1 || b[0] > lastFormat:
		return 0, ErrFormat
	case b[0] > ReadFormat:
		return 0, ErrNewer
	}
	return Version(binary.BigEndian.Uint64(b[1:])), nil
}

// SeenOf returns when a session in its stored form was last seen, in Unix
// milliseconds.
func SeenOf(b []byte) (int64, error) {
	version, err := VersionOf(b)
	if err != nil {
		return 0, err
	}
	seen, n := binary.Varint(b[sessionHead:])
	if n <= 0 {
		return 0, ErrFormat
	}
	if b[0] != 1 {
		seen += version.Millis()
	}
	return seen, nil
}

// Decode reads the stored form of a session. It keeps no part of b. The error is
// ErrNewer or ErrFormat.
func Decode(b []byte) (*Session, error) {
	s := new(Session)
	if err := DecodeInto(b, s); err != nil {
		return nil, err
	}
	for i := range s.Links {
		s.Links[i].Value = strings.Clone(s.Links[i].Value)
	}
	return s, nil
}

// DecodeInto decodes into s, and reuses the memory of its lists. The strings of Links
// are parts of b, which must not change from then on.
func DecodeInto(b []byte, s *Session) (err error) {
	version, err := VersionOf(b)
	if err != nil {
		return err
	}
	*s = Session{Version: version, Segments: s.Segments[:0], Links: s.Links[:0]}
	d := decoder{rest: b[sessionHead:]}
	if b[0] < 4 {
		d.oldSession(b[0], s)
	} else {
		d.session(s)
	}
	if d.short || len(d.rest) > 0 {
		return ErrFormat
	}
	return nil
}
