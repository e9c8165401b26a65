package shop

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/tidwall/gjson"
)

// Score is how well the session ids of lines match the truth. Each event counts
// once, as it was in its first delivery.
//
// A session is an id within a household: RudderStack's documentation pairs ids with
// the user, because those of mobile SDKs are seconds and so not unique.
type Score struct {
	// Events is how many different events there are, Repeats how many lines repeat an
	// earlier one. RepeatsDiffer are the repeats that carry another session id or start
	// mark than the first delivery.
	Events, Repeats, RepeatsDiffer int
	// Visits is how many visits have an event of a device.
	Visits int
	// Found are the visits that are one session: all of their device's events carry
	// one id, and no event of another visit does. Each of the others is at least
	// one of Split (events with different ids), Merged (an id of it is another
	// visit's as well) and Gaps (events without a session).
	Found, Split, Merged, Gaps int
	// Unassigned is how many events of devices carry no session id.
	Unassigned int
	// Backend is how many of the backend's events happened during a visit.
	// BackendFound of these carry a session of that visit and of no other one;
	// BackendWithout carry none.
	Backend, BackendFound, BackendWithout int
	// Outside is how many of the backend's events happened during no visit,
	// OutsideWith how many of these carry a session.
	Outside, OutsideWith int
	// Sessions is how many sessions the events of devices have. Started of these have
	// the start mark on one event, Unstarted on none, Restarted on several.
	Sessions, Started, Unstarted, Restarted int
}

// Scores are the scores of lines.
type Scores struct {
	Total Score
	// Kinds has a score for each kind of device, with the backend's events about it.
	Kinds [kinds]Score
	// Foreign is how many lines are not events of this package.
	Foreign int
}

// Scorer reads lines, and keeps 24 bytes of each.
type Scorer struct {
	records []record
	foreign int
}

// record is what the scorer keeps of a line.
type record struct {
	// event is made of household, device with kind, visit and number, so that sorting
	// by it groups the events by household, device and visit. Backend events come
	// first.
	household uint32
	kind      Kind
	start     bool
	event     uint64
	session   int64
}

const backendBit = 1 << 62

func (r *record) backend() bool { return r.event&backendBit != 0 }
func (r *record) visit() uint64 { return r.event &^ backendBit >> 12 }
func (r *record) outside() bool { return r.visit()&0xfff == 0 }
func (r *record) order(o *record) int {
	return cmp.Or(cmp.Compare(r.household, o.household), cmp.Compare(r.event, o.event))
}

// Read reads lines until the end.
func (s *Scorer) Read(r io.Reader) error {
	lines := bufio.NewReaderSize(r, 1<<18)
	var long []byte
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		if len(bytes.TrimSpace(line)) > 0 {
			s.add(line)
		}
		long = long[:0]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *Scorer) add(line []byte) {
	id, ok := ParseMessageID(gjson.GetBytes(line, "messageId").String())
	if !ok {
		s.foreign++
		return
	}
	r := record{household: id.Household, kind: id.Kind}
	r.event = uint64(id.Device)<<24 | uint64(id.Visit)<<12 | uint64(id.Number)
	if id.Backend {
		r.event |= backendBit
	}
	context := gjson.GetBytes(line, "context")
	if session := context.Get("sessionId"); session.Type == gjson.Number {
		r.session = session.Int()
	}
	r.start = context.Get("sessionStart").Type == gjson.True
	s.records = append(s.records, r)
}

// Scores counts what was read.
func (s *Scorer) Scores() *Scores {
	scores := &Scores{Foreign: s.foreign}
	slices.SortStableFunc(s.records, func(a, b record) int { return a.order(&b) })
	var home homeTally
	for from := 0; from < len(s.records); {
		to := from + 1
		for to < len(s.records) && s.records[to].household == s.records[from].household {
			to++
		}
		home.count(s.records[from:to], scores)
		from = to
	}
	for i := range scores.Kinds {
		scores.Total.add(&scores.Kinds[i])
	}
	return scores
}

// ScoreLines scores the lines of r.
func ScoreLines(r io.Reader) (*Scores, error) {
	var s Scorer
	if err := s.Read(r); err != nil {
		return nil, err
	}
	return s.Scores(), nil
}
