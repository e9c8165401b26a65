package sessionstate_test

import (
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/sessionstate"
)

// The stored forms of some sessions. Files and servers are full of them: what is
// here is read for ever, and a change of what is written is a new format.
var stored = []struct {
	name    string
	session Session
	hex     string
	// old is what format 1 was; "" for what it had no place for.
	old string
}{
	{"nothing", Session{Version: 1},
		"0200000000000000010000",
		"0100000000000000010000"},
	{"a manual session", Session{Version: 1_700_000_000_000_000, Seen: base, Segments: []Segment{
		{From: base, ID: base, Mode: Manual, Cause: 0x1112131415161718},
	}},
		"0200060a24181e40000001410200001817161514131211",
		"0100060a24181e400080a0abfef96201410280a0abfef962001817161514131211"},
	{"with mark and user", Session{Version: 1_700_000_000_000_001, Seen: base + 5, Segments: []Segment{
		{From: base, ID: base, Mode: Manual, Cause: 0x1112131415161718, Mark: 0x2122232425262728, User: 0x3132333435363738, UserAt: base + 5},
	}},
		"0200060a24181e40010a01411b09002827262524232221181716151413121138373635343332310a",
		"0100060a24181e40018aa0abfef96201411b80a0abfef962002827262524232221181716151413121138373635343332310a"},
	{"an automatic session", Session{Version: 1_700_000_000_000_002, Seen: base + 1000, Segments: []Segment{
		{From: base, Last: base + 1000, ID: base, Mode: Automatic, Origin: ByEvent, Mark: 0x2122232425262728, Cause: 0x2122232425262728},
	}},
		"0200060a24181e4002d00f01cb05cf0f00d00f2827262524232221",
		"0100060a24181e4002d0afabfef96201cb0580a0abfef96200d00f2827262524232221"},
	{"a history", Session{Version: 1_700_000_000_000_003, Seen: base + 70, Truncated: true, Segments: []Segment{
		{From: base, Origin: ByRestart},
		{From: base + 10, ID: 1_234_567_890, Mode: Manual, Mark: 1},
		{From: base + 20, Last: base + 30, Mode: Ended, Mark: 2, Cause: 3},
		{From: base + 40, Last: base + 60, ID: base + 40, Mode: Automatic, Origin: ByIdentify, Mark: 4, Cause: 4, User: 5, UserAt: base + 40},
	}},
		"0200060a24181e40038c018410008b01410114ef94fbe4f06201000000000000008203141402000000000000000300000000000000db1d2800280400000000000000050000000000000000",
		"0100060a24181e40038ca1abfef96284100080a0abfef962410114ef94fbe4f06201000000000000008203141402000000000000000300000000000000db1d2800280400000000000000050000000000000000"},
	{"a device of two users", Session{Version: 1_700_000_000_000_004, Seen: base + 5000, Links: []Stretch[string]{
		{Of: "uone", From: base, Last: base + 100}, {Of: "utwo", From: base + 1000, Last: base + 1000}, {Of: "uone", From: base + 2000, Last: base + 5000},
	}, SDK: []Stretch[int64]{{Of: base, From: base + 10, Last: base + 4000}, {Of: 1_234_567_890, From: base + 4500, Last: base + 4500}}},
		"0300060a24181e4004904e000204756f6e65047574776f03008f4ec80101d00f0000d00ff02e02fb4dac3e1394460083dbfbe4f062", ""},
	{"a device of several sources", Session{Version: 1_700_000_000_000_004, Seen: base + 5000, Timeout: 1_800_000, Cutoff: 86_400_000,
		Links: []Stretch[string]{{Of: "uone", From: base, Last: base + 100}}},
		"0300060a24181e4004904e000104756f6e6501008f4ec8018080dddb0180f0b252", ""},
	{"extremes", Session{Version: math.MaxUint64, Seen: math.MinInt64, Segments: []Segment{
		{From: math.MinInt64, Last: math.MaxInt64, ID: math.MinInt64, UserAt: -1, Mark: math.MaxUint64, Cause: 1 << 63, User: 1, Mode: Automatic, Origin: ByIdentify},
		{From: math.MaxInt64, Last: math.MinInt64, ID: MaxID, UserAt: 1},
	}},
		"02ffffffffffffffffa2e0cac396b2bbbeff0102db1b000001ffffffffffffffff00000000000000800100000000000000feffffffffffffffff01c01001ffffffffffffffdfff0102fbffffffffffffffff01",
		"01ffffffffffffffffffffffffffffffffff0102db1bffffffffffffffffff010001ffffffffffffffff00000000000000800100000000000000feffffffffffffffff01c01001ffffffffffffffdfff0102fbffffffffffffffff01"},
}

func TestStoredForm(t *testing.T) {
	for _, c := range stored {
		t.Run(c.name, func(t *testing.T) {
			want, err := hex.DecodeString(c.hex)
			if err != nil {
				t.Fatal(err)
			}
			if got := AppendSession(nil, &c.session); !reflect.DeepEqual(got, want) {
				t.Errorf("written as\n %x, want\n %x", got, want)
			}
			checkDecoded(t, want, &c.session)
			if c.old == "" {
				return
			}
			old, err := hex.DecodeString(c.old)
			if err != nil {
				t.Fatal(err)
			}
			checkDecoded(t, old, &c.session)
		})
	}
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkDecoded holds all ways of reading stored bytes against what they stand for.
func checkDecoded(t failer, b []byte, want *Session) {
	t.Helper()
	got, err := DecodeSession(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("read as\n %+v, %v, want\n %+v", got, err, want)
	}
	if version, err := SessionVersion(b); version != want.Version || err != nil {
		t.Fatalf("version %d, %v, want %d", version, err, want.Version)
	}
	if seen, err := SessionSeen(b); seen != want.Seen || err != nil {
		t.Fatalf("seen %d, %v, want %d", seen, err, want.Seen)
	}
}

// drawSession makes any session: of numbers that are near each other, and of
// any.
func drawSession(t *rapid.T) *Session {
	number := rapid.OneOf(
		rapid.Just(int64(0)), rapid.Int64Range(base-1000, base+1000), rapid.Int64(),
		rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -1, 1, MinID, MaxID}),
	)
	hash := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64(), rapid.Uint64Range(1, 3))
	s := &Session{
		Version:   rapid.OneOf(rapid.Uint64(), rapid.Just(uint64(math.MaxUint64))).Draw(t, "version"),
		Seen:      number.Draw(t, "seen"),
		Truncated: rapid.Bool().Draw(t, "truncated"),
	}
	for range rapid.IntRange(0, MaxSegments).Draw(t, "segments") {
		s.Segments = append(s.Segments, Segment{
			From: number.Draw(t, "from"), Last: number.Draw(t, "last"), ID: number.Draw(t, "id"),
			Mark: MessageID(hash.Draw(t, "mark")), Cause: MessageID(hash.Draw(t, "cause")),
			User: UserID(hash.Draw(t, "user")), UserAt: number.Draw(t, "user at"),
			Mode:   Mode(rapid.IntRange(0, int(Automatic)).Draw(t, "mode")),
			Origin: Origin(rapid.IntRange(0, int(ByIdentify)).Draw(t, "origin")),
		})
	}
	names := []string{"a", "u1", string(make([]byte, 257)), "ü", "a5", "a6", "a7", "a8"}
	for range rapid.OneOf(rapid.Just(0), rapid.IntRange(0, MaxStretches)).Draw(t, "links") {
		s.Links = append(s.Links, Stretch[string]{
			Of: rapid.SampledFrom(names).Draw(t, "of"), From: number.Draw(t, "from"), Last: number.Draw(t, "last"),
		})
	}
	for range rapid.OneOf(rapid.Just(0), rapid.IntRange(0, MaxStretches)).Draw(t, "sdk") {
		s.SDK = append(s.SDK, Stretch[int64]{Of: number.Draw(t, "id"), From: number.Draw(t, "from"), Last: number.Draw(t, "last")})
	}
	if len(s.Links) > 0 && rapid.Bool().Draw(t, "timeout") {
		s.Timeout = rapid.Int64Range(1, math.MaxInt64).Draw(t, "of")
		s.Cutoff = rapid.Int64Range(0, math.MaxInt64).Draw(t, "cutoff")
	}
	return s
}

func TestStoredSessionsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSession(t)
		// What is appended to stays, and what was read from can be used again.
		b := AppendSession([]byte("before"), s)
		if string(b[:6]) != "before" {
			t.Fatalf("%q was overwritten", b[:6])
		}
		got, err := DecodeSession(b[6:])
		checkDecoded(t, b[6:], s)
		clear(b)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%+v, %v when its bytes are gone", got, err)
		}
	})
}

// Bytes that are cut off, or go on, are no session; those of another format
// neither.
func TestUnreadableSessions(t *testing.T) {
	check := func(what string, b []byte) {
		t.Helper()
		if s, err := DecodeSession(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: read as %+v, %v", what, s, err)
		}
	}
	for _, c := range stored {
		b := AppendSession(nil, &c.session)
		for n := range b {
			check(c.name+", cut off", b[:n])
		}
		check(c.name+", going on", append(b[:len(b):len(b)], 0))
		for format := range 256 {
			if format < 1 || format > 3 {
				want := ErrFormat
				if format > 3 && format < 32 {
					want = ErrNewer
				}
				other := append([]byte{byte(format)}, b[1:]...)
				if _, err := DecodeSession(other); !errors.Is(err, want) {
					t.Errorf("%s of format %d: %v", c.name, format, err)
				}
				if _, err := SessionVersion(other); !errors.Is(err, want) {
					t.Errorf("version of format %d: %v", format, err)
				}
				if _, err := SessionSeen(other); !errors.Is(err, want) {
					t.Errorf("seen of format %d: %v", format, err)
				}
			}
		}
	}
	check("too many segments", append(AppendSession(nil, &Session{})[:10], MaxSegments+1))
	for _, b := range [][]byte{nil, {}, {1}, make([]byte, 9), {1, 0, 0, 0, 0, 0, 0, 0, 1}} {
		check("too short", b)
		if _, err := SessionSeen(b); !errors.Is(err, ErrFormat) {
			t.Errorf("seen of %x: %v", b, err)
		}
	}
}

// How large sessions are that there are most of.
func TestStoredSessionsAreSmall(t *testing.T) {
	const hash = 0xd1e2f3a4b5c6d7e8
	for _, c := range []struct {
		name    string
		most    int
		segment Segment
	}{
		{"manual", 36, Segment{From: base, ID: base, Mode: Manual, Cause: hash}},
		{"manual, own id", 40, Segment{From: base, ID: 1_234_567_890, Mode: Manual, Cause: hash}},
		{"manual, mark", 44, Segment{From: base, ID: base, Mode: Manual, Cause: hash, Mark: hash + 1}},
		{"manual, mark and user", 60, Segment{From: base, ID: base, Mode: Manual, Cause: hash, Mark: hash + 1, User: hash + 2, UserAt: base + 10_000_000}},
		{"automatic", 40, Segment{From: base, Last: base + 3_600_000, ID: base, Mode: Automatic, Origin: ByEvent, Mark: hash, Cause: hash}},
		{"automatic, user", 50, Segment{
			From: base, Last: base + 3_600_000, ID: base, Mode: Automatic, Origin: ByEvent, Mark: hash, Cause: hash, User: hash, UserAt: base + 5000,
		}},
		{"ended", 36, Segment{From: base, Last: base, Mode: Ended, Cause: hash}},
	} {
		s := &Session{Version: uint64(base) * 1000, Seen: base + 3_600_000, Segments: []Segment{c.segment}}
		n := len(AppendSession(nil, s))
		t.Logf("%s: %d bytes", c.name, n)
		if n > c.most {
			t.Errorf("%s: %d bytes, more than %d", c.name, n, c.most)
		}
	}
}

// What following adds: to a device of one user, and for a user of two devices.
func TestStoredLinksAreSmall(t *testing.T) {
	const device, user = "a667bad4e-5ae6-4418-b1c8-9d7ae4a2cd47", "uuser-00000001"
	later := base + 3_600_000
	for _, c := range []struct {
		name string
		most int
		s    Session
	}{
		{"device", 40, Session{Links: []Stretch[string]{{Of: user, From: base, Last: later}}}},
		{"device, SDK's session", 55, Session{
			Links: []Stretch[string]{{Of: user, From: base, Last: later}}, SDK: []Stretch[int64]{{Of: base - 1000, From: base, Last: later}},
		}},
		{"device of several sources", 45, Session{Links: []Stretch[string]{{Of: user, From: base, Last: later}}, Timeout: 1_800_000}},
		{"user of one device", 60, Session{Links: []Stretch[string]{{Of: device, From: base, Last: later}}}},
		{"user of two devices, four turns", 130, Session{Links: []Stretch[string]{
			{Of: device, From: base, Last: base + 60_000}, {Of: "b" + device[1:], From: base + 600_000, Last: base + 1_000_000},
			{Of: device, From: base + 2_000_000, Last: base + 2_000_000}, {Of: "b" + device[1:], From: base + 3_000_000, Last: later},
		}}},
	} {
		c.s.Version, c.s.Seen = uint64(base)*1000, later
		n := len(AppendSession(nil, &c.s)) - len(AppendSession(nil, &Session{Version: c.s.Version, Seen: c.s.Seen}))
		t.Logf("%s: %d bytes", c.name, n)
		if n > c.most {
			t.Errorf("%s: %d bytes, more than %d", c.name, n, c.most)
		}
	}
}

// FuzzDecodeSession: whatever stands there is a session or it is not, and what
// is one is the same when it is written again.
func FuzzDecodeSession(f *testing.F) {
	for _, c := range stored {
		f.Add(AppendSession(nil, &c.session))
	}
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSession(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		checkDecoded(t, b, s)
		checkDecoded(t, AppendSession(nil, s), s)
	})
}
