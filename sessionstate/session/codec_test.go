package session_test

import (
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/sessionstate/session"
)

// The stored forms of some sessions. Existing files and servers contain them, so these
// must be readable for ever, and any change of what is written needs a new format.
var stored = []struct {
	name    string
	session Session
	hex     string
}{
	{"nothing", Session{Version: 1}, "040000000000000001000000"},
	{"a manual session", Session{Version: 1_700_000_000_000_000, Seen: base, Segments: []Segment{
		{From: onDevice(base, 53), ID: base, Mode: Manual, Cause: 0x1112131415161718},
	}}, "0400060a24181e4000000100c112006a06001817161514131211"},
	{"a call that told no clock", Session{Version: 1_700_000_000_000_000, Seen: base, Segments: []Segment{
		{From: At(base), ID: base, Mode: Manual, Cause: 0x1112131415161718},
	}}, "0400060a24181e4000000100811200001817161514131211"},
	{"with mark, user and lags", Session{
		Version: 1_700_000_000_000_001, Seen: base + 5, Lags: [2]Lag{{53, base}, {4, base + 5}},
		Segments: []Segment{{
			From: onDevice(base, 60), ID: base, Mode: Manual, Cause: 0x1112131415161718, Mark: 0x2122232425262728,
			User: 0x3132333435363738, UserAt: onDevice(base+5, 53),
		}},
	}, "0400060a24181e40010a01306a090800c1f601090e14002827262524232221181716151413121138373635343332310a0d06"},
	{"an automatic session", Session{Version: 1_700_000_000_000_002, Seen: base + 1000, Segments: []Segment{{
		From: onDevice(base, 53), Last: onDevice(base+1000, 48), Restart: onDevice(base+500, 3600_048), RestartWithID: true,
		ID: base, Mode: Automatic, Origin: ByEvent, Mark: 0x2122232425262728, Cause: 0x2122232425262728,
	}}}, "0400060a24181e4002d00f0100cb8e8c2ccf0f6a06002827262524232221d00f0903e80780bab703fcb9b703"},
	{"a history", Session{Version: 1_700_000_000_000_003, Seen: base + 70, Truncated: true, Segments: []Segment{
		{From: onServer(base, 5), Origin: ByUpdate},
		{From: At(base + 10), ID: 1_234_567_890, Mode: Manual, Mark: 1, Last: onDevice(base+15, 50)},
		{From: onDevice(base+20, 50), LastEnd: onServer(base+30, 4), LastEndBy: 2, Mode: Ended, Cause: 3},
		{From: onDevice(base+40, 50), Last: onDevice(base+60, 51), ID: base + 40, Mode: Automatic, Origin: ByLogout, Mark: 4, Cause: 4, User: 5, UserAt: onDevice(base+40, 50)},
	}}, "0400060a24181e40038c018400a8018b010a0081860c14ef94fbe4f06201000000000000000a6400c290a00314000003000000000000001401000200000000000000e3ee0d2800000004000000000000000500000000000000000000280202"},
	{"adopted sessions", Session{
		Version: 1_700_000_000_000_003, Seen: base + 70, WithoutID: onDevice(base+65, 50), NoOps: [MaxNoOps]MessageID{7, 6},
		Segments: []Segment{
			{From: onDevice(base, 50), Last: onDevice(base+60, 51), ID: base - 40, Mode: Adopted, Origin: ByOpening, Mark: 4, Cause: 4},
			{From: onDevice(base+1, 50), Last: onDevice(base+50, 51), ID: base - 30, Mode: Adopted, Origin: ByEvent, Mark: 5, Cause: 5},
		},
	}, "0400060a24181e40038c01020cf48e0c8b0164004f0400000000000000780202cc8e0c0201003d05000000000000006202020109010007000000000000000600000000000000"},
	{"a device of two users", Session{Version: 1_700_000_000_000_004, Seen: base + 5000, Links: []Interval[string]{
		{Value: "uone", From: base, Last: base + 100}, {Value: "utwo", From: base + 1000, Last: base + 1000}, {Value: "uone", From: base + 2000, Last: base + 5000},
	}}, "0400060a24181e4004904e00010204756f6e65047574776f03008f4ec80101d00f0000d00ff02e"},
	{"a device of several sources", Session{
		Version: 1_700_000_000_000_004, Seen: base + 5000, Timeout: 1_800_000, Cutoff: 86_400_000,
		Links: []Interval[string]{{Value: "uone", From: base, Last: base + 100}},
	}, "0400060a24181e4004904e00030104756f6e6501008f4ec80180dddb0180f0b252"},
	{"extremes", Session{Version: math.MaxUint64, Seen: math.MinInt64, Segments: []Segment{
		{
			From: Moment{math.MinInt64, math.MaxInt64, math.MinInt64, ServerClock}, Last: At(math.MaxInt64), ID: math.MinInt64,
			UserAt: At(-1), Mark: math.MaxUint64, Cause: 1 << 63, User: 1, Mode: Adopted, Origin: ByOpening,
		},
		{From: At(math.MaxInt64), Last: Moment{math.MinInt64, 0, math.MaxInt64, DeviceClock}, ID: MaxID, UserAt: At(1)},
	}}, "04ffffffffffffffffa2e0cac396b2bbbeff010200b4f70400ffffffffffffffffff01feffffffffffffffff0100ffffffffffffffff00000000000000800100000000000000feffffffffffffffff010180c20c01ffffffffffffffdfff01fbffffffffffffffff0102feffffffffffffffff0101"},
}

// storedBefore are sessions as earlier formats wrote them, and as they are read today.
var storedBefore = []struct {
	name    string
	session Session
	forms   []string
}{
	{"nothing", Session{Version: 1}, []string{
		"0200000000000000010000",
		"0100000000000000010000",
	}},
	{"a manual session", Session{Version: 1_700_000_000_000_000, Seen: base, Segments: []Segment{
		{From: At(base), ID: base, Mode: Manual, Cause: 0x1112131415161718},
	}}, []string{
		"0200060a24181e40000001410200001817161514131211",
		"0100060a24181e400080a0abfef96201410280a0abfef962001817161514131211",
	}},
	{"with mark and user", Session{Version: 1_700_000_000_000_001, Seen: base + 5, Segments: []Segment{{
		From: At(base), ID: base, Mode: Manual, Cause: 0x1112131415161718, Mark: 0x2122232425262728,
		User: 0x3132333435363738, UserAt: At(base + 5),
	}}}, []string{
		"0200060a24181e40010a01411b09002827262524232221181716151413121138373635343332310a",
		"0100060a24181e40018aa0abfef96201411b80a0abfef962002827262524232221181716151413121138373635343332310a",
	}},
	{"an automatic session", Session{Version: 1_700_000_000_000_002, Seen: base + 1000, Segments: []Segment{{
		From: At(base), Last: At(base + 1000), ID: base, Mode: Automatic, Origin: ByEvent,
		Mark: 0x2122232425262728, Cause: 0x2122232425262728,
	}}}, []string{
		"0200060a24181e4002d00f01cb05cf0f00d00f2827262524232221",
		"0100060a24181e4002d0afabfef96201cb0580a0abfef96200d00f2827262524232221",
	}},
	{"a history", Session{Version: 1_700_000_000_000_003, Seen: base + 70, Truncated: true, Segments: []Segment{
		{From: At(base), Origin: ByRestart},
		{From: At(base + 10), ID: 1_234_567_890, Mode: Manual, Mark: 1},
		{From: At(base + 20), LastEnd: At(base + 30), LastEndBy: 2, Mode: Ended, Cause: 3},
		{From: At(base + 40), Last: At(base + 60), ID: base + 40, Mode: Automatic, Origin: ByIdentify, Mark: 4, Cause: 4, User: 5, UserAt: At(base + 40)},
	}}, []string{
		"0200060a24181e40038c018410008b01410114ef94fbe4f06201000000000000008203141402000000000000000300000000000000db1d2800280400000000000000050000000000000000",
		"0100060a24181e40038ca1abfef96284100080a0abfef962410114ef94fbe4f06201000000000000008203141402000000000000000300000000000000db1d2800280400000000000000050000000000000000",
	}},
	// The SDK's own sessions of a device become adopted ones.
	{"a device of two users", Session{
		Version: 1_700_000_000_000_004, Seen: base + 5000, Links: []Interval[string]{
			{Value: "uone", From: base, Last: base + 100}, {Value: "utwo", From: base + 1000, Last: base + 1000}, {Value: "uone", From: base + 2000, Last: base + 5000},
		},
		Segments: []Segment{
			{From: At(base + 10), Last: At(base + 4000), ID: base, Mode: Adopted, Origin: ByEvent},
			{From: At(base + 4500), Last: At(base + 4500), ID: 1_234_567_890, Mode: Adopted, Origin: ByEvent},
		},
	}, []string{
		"0300060a24181e4004904e000204756f6e65047574776f03008f4ec80101d00f0000d00ff02e02fb4dac3e1394460083dbfbe4f062",
	}},
	{"a device of several sources", Session{
		Version: 1_700_000_000_000_004, Seen: base + 5000, Timeout: 1_800_000, Cutoff: 86_400_000,
		Links: []Interval[string]{{Value: "uone", From: base, Last: base + 100}},
	}, []string{
		"0300060a24181e4004904e000104756f6e6501008f4ec8018080dddb0180f0b252",
	}},
	{"extremes", Session{Version: math.MaxUint64, Seen: math.MinInt64, Segments: []Segment{
		{From: At(math.MinInt64), Last: At(math.MaxInt64), ID: math.MinInt64, UserAt: At(-1), Mark: math.MaxUint64, Cause: 1 << 63, User: 1, Mode: Automatic, Origin: ByIdentify},
		{From: At(math.MaxInt64), Last: At(math.MinInt64), ID: MaxID, UserAt: At(1)},
	}}, []string{
		"02ffffffffffffffffa2e0cac396b2bbbeff0102db1b000001ffffffffffffffff00000000000000800100000000000000feffffffffffffffff01c01001ffffffffffffffdfff0102fbffffffffffffffff01",
		"01ffffffffffffffffffffffffffffffffff0102db1bffffffffffffffffff010001ffffffffffffffff00000000000000800100000000000000feffffffffffffffff01c01001ffffffffffffffdfff0102fbffffffffffffffff01",
	}},
}

// onDevice is a moment by a device's clock, onServer one by a server's.
func onDevice(at, lag int64) Moment { return Moment{at, at - 50, lag, DeviceClock} }
func onServer(at, lag int64) Moment { return Moment{at, at - lag, lag, ServerClock} }

func TestStoredForm(t *testing.T) {
	for _, c := range stored {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(t, c.hex)
			if got := Append(nil, &c.session); !reflect.DeepEqual(got, want) {
				t.Errorf("written as\n %x, want\n %x", got, want)
			}
			checkDecoded(t, want, &c.session)
		})
	}
	for _, c := range storedBefore {
		t.Run("earlier, "+c.name, func(t *testing.T) {
			for _, form := range c.forms {
				checkDecoded(t, unhex(t, form), &c.session)
			}
		})
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkDecoded checks all functions that read stored bytes against the session that was
// stored.
func checkDecoded(t failer, b []byte, want *Session) {
	t.Helper()
	got, err := Decode(b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("read as\n %+v, %v, want\n %+v", got, err, want)
	}
	if version, err := VersionOf(b); version != want.Version || err != nil {
		t.Fatalf("version %d, %v, want %d", version, err, want.Version)
	}
	if seen, err := SeenOf(b); seen != want.Seen || err != nil {
		t.Fatalf("seen %d, %v, want %d", seen, err, want.Seen)
	}
}

// drawSession makes a random session, of numbers near each other or of any numbers.
func drawSession(t *rapid.T) *Session {
	number := rapid.OneOf(
		rapid.Just(int64(0)), rapid.Int64Range(base-1000, base+1000), rapid.Int64(),
		rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -1, 1, MinID, MaxID}),
	)
	hash := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64(), rapid.Uint64Range(1, 3))
	moment := func(name string) Moment {
		m := Moment{Time: number.Draw(t, name), Clock: Clock(rapid.IntRange(0, int(ServerClock)).Draw(t, "clock"))}
		if m.Clock != NoClock {
			m.Original, m.Lag = number.Draw(t, "original"), number.Draw(t, "lag")
		}
		return m
	}
	message := func(name string) MessageID { return MessageID(hash.Draw(t, name)) }
	s := &Session{
		Version:   Version(rapid.OneOf(rapid.Uint64(), rapid.Just(uint64(math.MaxUint64))).Draw(t, "version")),
		Seen:      number.Draw(t, "seen"),
		Truncated: rapid.Bool().Draw(t, "truncated"),
		WithoutID: moment("without id"),
		NoOps:     [MaxNoOps]MessageID{message("no-op"), message("no-op before")},
	}
	for i := range s.Lags {
		if at := number.Draw(t, "lag at"); at != 0 {
			s.Lags[i] = Lag{number.Draw(t, "lag"), at}
		}
	}
	for range rapid.IntRange(0, MaxSegments).Draw(t, "segments") {
		s.Segments = append(s.Segments, Segment{
			From: moment("from"), Last: moment("last"), ID: number.Draw(t, "id"),
			Mark: message("mark"), Cause: message("cause"),
			User: UserID(hash.Draw(t, "user")), UserAt: moment("user at"),
			LastEnd: moment("last end"), LastEndBy: message("last end by"),
			Restart: moment("restart"), RestartWithID: rapid.Bool().Draw(t, "with id"),
			Mode:   Mode(rapid.IntRange(0, int(Adopted)).Draw(t, "mode")),
			Origin: Origin(rapid.IntRange(0, int(ByOpening)).Draw(t, "origin")),
		})
	}
	names := []string{"a", "u1", string(make([]byte, 257)), "ü", "a5", "a6", "a7", "a8"}
	for range rapid.OneOf(rapid.Just(0), rapid.IntRange(0, MaxIntervals)).Draw(t, "links") {
		s.Links = append(s.Links, Interval[string]{
			Value: rapid.SampledFrom(names).Draw(t, "of"), From: number.Draw(t, "from"), Last: number.Draw(t, "last"),
		})
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
		// Append keeps what is before it, and the bytes can be reused after decoding.
		b := Append([]byte("before"), s)
		if string(b[:6]) != "before" {
			t.Fatalf("%q was overwritten", b[:6])
		}
		got, err := Decode(b[6:])
		checkDecoded(t, b[6:], s)
		clear(b)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%+v, %v when its bytes are gone", got, err)
		}
	})
}

// Bytes that are truncated, too long, or of another format are not decoded.
func TestUnreadableSessions(t *testing.T) {
	check := func(what string, b []byte) {
		t.Helper()
		if s, err := Decode(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: read as %+v, %v", what, s, err)
		}
	}
	for _, c := range stored {
		b := Append(nil, &c.session)
		for n := range b {
			check(c.name+", cut off", b[:n])
		}
		check(c.name+", going on", append(b[:len(b):len(b)], 0))
		for _, format := range []byte{0, ReadFormat + 1, 31, 32, 255} {
			// A later format is not damage.
			want := ErrNewer
			if format == 0 || format > 31 {
				want = ErrFormat
			}
			other := append([]byte{format}, b[1:]...)
			if _, err := Decode(other); !errors.Is(err, want) {
				t.Errorf("%s, of format %d: %v", c.name, format, err)
			}
			if _, err := VersionOf(other); !errors.Is(err, want) {
				t.Errorf("version of format %d: %v", format, err)
			}
			if _, err := SeenOf(other); !errors.Is(err, want) {
				t.Errorf("seen of format %d: %v", format, err)
			}
		}
	}
	for _, c := range storedBefore {
		for _, form := range c.forms {
			b := unhex(t, form)
			for n := range b {
				check(c.name+", earlier, cut off", b[:n])
			}
			check(c.name+", earlier, going on", append(b[:len(b):len(b)], 0))
		}
	}
	check("too many segments", append(Append(nil, &Session{})[:10], MaxSegments+1))
	for _, b := range [][]byte{nil, {}, {1}, make([]byte, 9), {1, 0, 0, 0, 0, 0, 0, 0, 1}} {
		check("too short", b)
		if _, err := SeenOf(b); !errors.Is(err, ErrFormat) {
			t.Errorf("seen of %x: %v", b, err)
		}
	}
}

// The sizes of the most frequent kinds of sessions.
func TestStoredSessionsAreSmall(t *testing.T) {
	const hash = 0xd1e2f3a4b5c6d7e8
	for _, c := range []struct {
		name    string
		most    int
		segment Segment
	}{
		{"manual", 38, Segment{From: onDevice(base, 60), ID: base, Mode: Manual, Cause: hash}},
		{"manual, no clock", 36, Segment{From: At(base), ID: base, Mode: Manual, Cause: hash}},
		{"manual, own id", 42, Segment{From: onDevice(base, 60), ID: 1_234_567_890, Mode: Manual, Cause: hash}},
		{"manual, mark", 46, Segment{From: onDevice(base, 60), ID: base, Mode: Manual, Cause: hash, Mark: hash + 1}},
		{"manual, mark and user", 62, Segment{From: onDevice(base, 60), ID: base, Mode: Manual, Cause: hash, Mark: hash + 1, User: hash + 2, UserAt: onDevice(base+10_000_000, 60)}},
		{"automatic", 46, Segment{From: onDevice(base, 60), Last: onDevice(base+3_600_000, 55), ID: base, Mode: Automatic, Origin: ByEvent, Mark: hash, Cause: hash}},
		{"automatic, user", 60, Segment{
			From: onDevice(base, 60), Last: onDevice(base+3_600_000, 55), ID: base, Mode: Automatic, Origin: ByEvent, Mark: hash, Cause: hash, User: hash, UserAt: onDevice(base+5000, 55),
		}},
		{"adopted", 50, Segment{From: onDevice(base, 60), Last: onDevice(base+3_600_000, 55), ID: base - 90, Mode: Adopted, Origin: ByOpening, Mark: hash, Cause: hash}},
		{"ended", 40, Segment{From: onDevice(base, 60), Mode: Ended, Cause: hash}},
	} {
		s := &Session{Version: Version(base) * 1000, Seen: base + 3_600_000, Lags: [2]Lag{{55, base + 3_600_000}}, Segments: []Segment{c.segment}}
		n := len(Append(nil, s))
		t.Logf("%s: %d bytes", c.name, n)
		if n > c.most {
			t.Errorf("%s: %d bytes, more than %d", c.name, n, c.most)
		}
	}
}

// The additional size with follow_user: for a device with one user, and for a user with
// two devices.
func TestStoredLinksAreSmall(t *testing.T) {
	const device, user = "a667bad4e-5ae6-4418-b1c8-9d7ae4a2cd47", "uuser-00000001"
	later := base + 3_600_000
	for _, c := range []struct {
		name string
		most int
		s    Session
	}{
		{"device", 40, Session{Links: []Interval[string]{{Value: user, From: base, Last: later}}}},
		{"device of several sources", 45, Session{Links: []Interval[string]{{Value: user, From: base, Last: later}}, Timeout: 1_800_000}},
		{"user of one device", 60, Session{Links: []Interval[string]{{Value: device, From: base, Last: later}}}},
		{"user of two devices, four turns", 130, Session{Links: []Interval[string]{
			{Value: device, From: base, Last: base + 60_000}, {Value: "b" + device[1:], From: base + 600_000, Last: base + 1_000_000},
			{Value: device, From: base + 2_000_000, Last: base + 2_000_000}, {Value: "b" + device[1:], From: base + 3_000_000, Last: later},
		}}},
	} {
		c.s.Version, c.s.Seen = Version(base)*1000, later
		n := len(Append(nil, &c.s)) - len(Append(nil, &Session{Version: c.s.Version, Seen: c.s.Seen}))
		t.Logf("%s: %d bytes", c.name, n)
		if n > c.most {
			t.Errorf("%s: %d bytes, more than %d", c.name, n, c.most)
		}
	}
}

// FuzzDecode: any bytes are either a valid session or an error; a valid one is the same
// when it is written again.
func FuzzDecode(f *testing.F) {
	for _, c := range stored {
		f.Add(Append(nil, &c.session))
	}
	for _, c := range storedBefore {
		for _, form := range c.forms {
			b, _ := hex.DecodeString(form)
			f.Add(b)
		}
	}
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		checkDecoded(t, b, s)
		checkDecoded(t, Append(nil, s), s)
	})
}
