package shop

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// near checks that a share differs from a constant by at most a third of it, and three
// standard deviations of what chance does to it.
func near(t *testing.T, what string, count, of int, want float64) {
	t.Helper()
	got := float64(count) / float64(of)
	chance := math.Sqrt(want * (1 - want) / float64(of))
	if !(math.Abs(got-want) <= want/3+3*chance) {
		t.Errorf("%s: %d of %d, %.3f, want %.3f", what, count, of, got, want)
	}
}

func TestHouseholds(t *testing.T) {
	o := Options{Users: 20_000, Events: 1, Seed: 1}
	var homes, couples, families, accounts, browsers, apps, set int
	var ofKind [kinds]int
	for user := 0; user < o.Users; {
		h := newHousehold(o, user)
		homes++
		switch h.people {
		case 2:
			couples++
		case 3:
			families++
		}
		for i := range h.people {
			if h.account[i] {
				accounts++
			}
		}
		if len(h.devices) == 0 {
			t.Fatal("a household without devices")
		}
		for _, d := range h.devices {
			ofKind[d.kind]++
			if d.kind.app() {
				apps++
			} else {
				browsers++
			}
			if d.clock.set != 0 {
				set++
			}
			if d.user != 0 && (d.user <= h.first || d.user > h.first+h.people || !h.account[d.user-1-h.first]) {
				t.Fatal("somebody else is logged in")
			}
			if d.shared && h.people == 1 {
				t.Fatal("a single person shares a device")
			}
		}
		user += h.people
	}
	near(t, "couples", couples, homes, CoupleShare)
	near(t, "families", families, homes, FamilyShare)
	near(t, "accounts", accounts, o.Users, AccountShare)
	near(t, "apps", apps, o.Users, AppShare)
	near(t, "clocks that are set", set, browsers+apps, ClockSetShare)
	for kind := range kinds {
		of := browsers
		if kind.app() {
			of = apps
		}
		near(t, kind.String(), ofKind[kind], of, KindShare[kind])
	}
}

// TestShares measures the shares of the constants in the generated lines.
func TestShares(t *testing.T) {
	type seen struct {
		times int
		sent  time.Time
	}
	var backend, named, java, again, sameSent, events int
	ids := map[string]seen{}
	type visit struct {
		household uint32
		device    uint8
		number    uint16
	}
	delayed := map[visit]bool{} // visits to apps, and whether an event came late
	clocks := map[visit]time.Duration{}
	for line := range bytes.Lines(month(t, small)) {
		text := func(path string) string { return gjson.GetBytes(line, path).String() }
		at := func(path string) time.Time {
			at, err := time.Parse(time.RFC3339, text(path))
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		message, sent := text("messageId"), at("sentAt")
		id, _ := ParseMessageID(message)
		s := ids[message]
		if s.times++; s.times > 1 {
			again++
			if s.sent.Equal(sent) {
				sameSent++
			}
			ids[message] = s
			continue
		}
		events++
		s.sent = sent
		ids[message] = s
		if id.Backend {
			backend++
			if text("anonymousId") != "" {
				named++
			}
			if text("context.library.name") == "analytics-java" {
				java++
			}
			continue
		}
		clocks[visit{household: id.Household, device: id.Device}] = at("receivedAt").Sub(sent)
		if id.Kind.app() {
			v := visit{id.Household, id.Device, id.Visit}
			delayed[v] = delayed[v] || sent.Sub(at("originalTimestamp")) > 5*time.Minute
		}
	}
	late, wrong, years := 0, 0, 0
	for _, is := range delayed {
		if is {
			late++
		}
	}
	for _, lag := range clocks {
		if lag.Abs() > time.Hour {
			wrong++
		}
		if lag.Abs() > 2*24*time.Hour {
			years++
		}
	}
	near(t, "visits to apps with events that are sent late", late, len(delayed), OfflineShare+HeldShare)
	near(t, "clocks off by hours", wrong, len(clocks), ClockDayShare+ClockYearsShare)
	near(t, "clocks off by years", years, len(clocks), ClockYearsShare)
	near(t, "backend", backend, events, 0.03)
	near(t, "backend with anonymousId", named, backend, BackendAnonymousShare/2) // orders, not their shipping
	near(t, "backend's Java service", java, backend, BackendJavaShare)
	near(t, "repeats", again, events, UnansweredShare+ReconnectShare)
	if sameSent == 0 || sameSent == again {
		t.Errorf("%d of %d repeats have the sentAt of the first", sameSent, again)
	}
}

func TestClock(t *testing.T) {
	c := clock{off: -hour, set: Start + day}
	if got := c.read(Start); got != Start-hour {
		t.Errorf("%d before it is set", got-Start)
	}
	if got := c.read(Start + day); got != Start+day {
		t.Errorf("%d when it is set", got-Start-day)
	}
}

func TestTime(t *testing.T) {
	for _, at := range []int64{0, -1, Start, End - 1, 951_782_400_000, 1_709_164_800_123, Start - 2500*day, Start + 2500*day, 4_102_444_799_999} {
		want := time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z")
		if got := string(appendTime(nil, at)); got != want {
			t.Errorf("%d: %s, want %s", at, got, want)
		}
	}
	for at := int64(Start) - 2500*day; at < Start+2500*day; at += 7*day/3 + 12_345 {
		if got, want := string(appendTime(nil, at)), time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"); got != want {
			t.Fatalf("%d: %s, want %s", at, got, want)
		}
	}
}
