package replay

import (
	"encoding/binary"
	"math"
)

// user has the open sessions of one session key: before are those that the events came
// with, after those that the policy gave them. A session is added to the figures when
// it has to make room for another, or at the end.
type user struct {
	before, after []tally
	// counted: the user is counted in figures.users.
	counted bool
}

// tally counts the events of one session.
type tally struct {
	id int64
	// first and last are the earliest and the latest event time, in Unix milliseconds.
	first, last int64
	events      int64
	// marked is the hash of the message with its start mark, 0 for none; several: more
	// than one message has a mark.
	marked  uint64
	several bool
	// other is the session that its events have on the other side, 0 for none;
	// divided: they have several there.
	other   int64
	divided bool
}

// maxTallies is how many sessions of a user are kept open for late events, on each
// side: as many as a timeline has segments. An event that comes even later counts as a
// session of its own.
const maxTallies = 16

// note adds an event to a session on one side. If the session is new and there is no
// room for it, full is called with the one that is removed.
func note(side []tally, id, at int64, other int64, marked bool, message uint64, full func(*tally)) []tally {
	i := len(side) - 1
	for i >= 0 && side[i].id != id {
		i--
	}
	if i < 0 {
		if len(side) == maxTallies {
			oldest := 0
			for j := range side {
				if side[j].last < side[oldest].last {
					oldest = j
				}
			}
			full(&side[oldest])
			side = append(side[:oldest], side[oldest+1:]...)
		}
		side = append(side, tally{id: id, first: at, last: at, other: other})
		i = len(side) - 1
	}
	t := &side[i]
	t.first, t.last = min(t.first, at), max(t.last, at)
	t.events++
	switch {
	case t.other == 0:
		t.other = other
	case other != 0 && t.other != other:
		t.divided = true
	}
	if marked {
		t.several = t.several || t.marked != 0 && t.marked != message
		t.marked = message
	}
	return side
}

// appendUser and readUser write and read the form of a user in the temporary file.
func appendUser(b []byte, u *user) []byte {
	for _, side := range [][]tally{u.before, u.after} {
		b = binary.AppendUvarint(b, uint64(len(side)))
		for i := range side {
			t := &side[i]
			for _, n := range []int64{t.id, t.first, t.last - t.first, t.events, t.other} {
				b = binary.AppendVarint(b, n)
			}
			b = binary.LittleEndian.AppendUint64(b, t.marked)
			b = append(b, flags(t.several, t.divided))
		}
	}
	return append(b, flags(u.counted, false))
}

func flags(first, second bool) (b byte) {
	if first {
		b = 1
	}
	if second {
		b |= 2
	}
	return b
}

func readUser(b []byte, u *user) {
	for _, side := range []*[]tally{&u.before, &u.after} {
		n, size := binary.Uvarint(b)
		b = b[size:]
		*side = make([]tally, n, n+1)
		for i := range *side {
			t := &(*side)[i]
			for _, to := range []*int64{&t.id, &t.first, &t.last, &t.events, &t.other} {
				*to, size = binary.Varint(b)
				b = b[size:]
			}
			t.last += t.first
			t.marked = binary.LittleEndian.Uint64(b)
			t.several, t.divided = b[8]&1 != 0, b[8]&2 != 0
			b = b[9:]
		}
	}
	u.counted = b[0] != 0
}

// lengths and counts are the upper bounds of the classes of the two distributions:
// lengths of sessions in milliseconds, and events in a session.
var (
	lengths = []int64{0, 10_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, math.MaxInt64}
	counts  = []int64{1, 2, 5, 10, 20, 50, 100, 200, math.MaxInt64}
)

// classOf returns the index of the class of a value.
func classOf(bounds []int64, value int64) int {
	i := 0
	for value > bounds[i] {
		i++
	}
	return i
}
