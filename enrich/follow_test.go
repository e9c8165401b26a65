package enrich_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// happening is a message of a device, or of a user's backend. From all messages of a
// history, an oracle answers to which session each event belongs.
type happening struct {
	// at is when it happened: no two messages have the same time.
	at int64
	// device is the anonymousId, "" for a backend.
	device string
	// user is the userId.
	user string
	// start and end are control calls, own is the session id that it came with.
	start, end bool
	own        int64
}

const (
	// morning is the time at which histories begin; followTimeout is so short that times
	// are not rounded.
	morning       = 1_700_000_000_000
	followTimeout = 60
)

// body is the message as it is sent.
func (h *happening) body(received int64) map[string]any {
	stamp := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
	m := map[string]any{
		"type": "track", "event": "x", "messageId": fmt.Sprint("m", h.at),
		"originalTimestamp": stamp(h.at), "sentAt": stamp(received), "channel": "web",
	}
	switch {
	case h.device != "":
		m["anonymousId"] = h.device
	case h.at%2 == 0:
		m["channel"] = "server"
		m["anonymousId"] = "made up"
	}
	if h.user != "" {
		m["userId"] = h.user
	}
	if h.own != 0 {
		m["context"] = map[string]any{"sessionId": h.own}
	}
	switch {
	case h.start:
		m["type"], m["sessionId"] = "startSession", h.at
	case h.end:
		m["type"] = "endSession"
	}
	return m
}

// history is a random day: the messages, and the order in which they arrive.
type history struct {
	t     *rapid.T
	table *sessionstate.Table
	know  oracle
	now   int64
	all   []*happening
	// forgets: changes that are only kept in memory may be lost.
	forgets bool
}

var (
	devices = []string{"phone", "laptop", "kiosk"}
	users   = []string{"anna", "ben"}
)

func (h *history) draw(minimum, maximum int) {
	// Users log in and out in order; a device has at most as many segments as are kept.
	calls, started := map[string]int{}, map[string]bool{}
	// An SDK does not return to an earlier session. Two tabs with a session each do, but
	// which of these was current between two events is not stored, only the time at which
	// each was seen last.
	newest := map[string]int64{}
	for i := range rapid.IntRange(minimum, maximum).Draw(h.t, "messages") {
		m := &happening{at: morning + int64(i)*7}
		what := rapid.IntRange(0, 9).Draw(h.t, "what")
		if what < 6 {
			m.device = rapid.SampledFrom(devices).Draw(h.t, "device")
		}
		if what < 3 || what >= 6 {
			m.user = rapid.SampledFrom(users).Draw(h.t, "user")
		}
		owner := m.device + "/"
		if m.device == "" {
			owner += m.user
		}
		switch call := rapid.IntRange(0, 7).Draw(h.t, "call"); {
		case call < 2 && calls[owner] < session.MaxSegments/2:
			calls[owner]++
			// Of several ends of one session, only the first and the last are remembered.
			m.start, m.end = call == 0 || !started[owner], call == 1 && started[owner]
			started[owner] = m.start
		case call < 4:
			m.own = 1_111_111_111 * rapid.Int64Range(1, 3).Draw(h.t, "own")
			if m.device != "" {
				m.own = max(m.own, newest[m.device])
				newest[m.device] = m.own
			}
		}
		h.all = append(h.all, m)
	}
}

// send sends messages in one request, and checks the results of backends' events with
// fits, which returns an error text.
func (h *history) send(messages []*happening, fits func(e *happening, got int64) string) {
	for _, m := range messages {
		h.now = max(h.now, m.at)
	}
	h.now++
	bodies := make([]map[string]any, len(messages))
	for i, m := range messages {
		bodies[i] = m.body(h.now)
	}
	body, err := json.Marshal(map[string]any{"batch": bodies})
	if err != nil {
		h.t.Fatal(err)
	}
	r := &Request{
		Endpoint: Batch, WriteKey: "wk", Received: h.now, MaxBody: 1 << 20, Follow: true,
		Policy: &session.Policy{Timeout: followTimeout, IdentifyReset: session.IdentifyResetNever},
	}
	explained, err := Explain(h.t.Context(), h.table, r, body)
	if err != nil {
		h.t.Fatal(err)
	}
	var verdicts []Verdict
	r.Observe = func(v []Verdict) { verdicts = v }
	result := Enrich(h.t.Context(), h.table, r, body)
	if result.Err != nil || result.Unreadable {
		h.t.Fatalf("%+v", result)
	}
	h.know = append(h.know, messages...)
	text := string(body)
	if result.Body != nil {
		text = string(result.Body.Bytes())
	}
	var got struct {
		Batch []struct {
			MessageID string `json:"messageId"`
			Context   struct {
				SessionID    int64 `json:"sessionId"`
				SessionStart any   `json:"sessionStart"`
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil && !result.Empty {
		h.t.Fatalf("%v: %s", err, text)
	}
	next := 0
	for i, m := range messages {
		was, is := &explained[i].Verdict, &verdicts[i]
		if was.Action() != is.Action() || was.Reason() != is.Reason() || was.Decision.SessionID != is.Decision.SessionID {
			h.t.Fatalf("%+v: explained as %s, %s, and done as %s, %s", *m, was.Action(), was.Reason(), is.Action(), is.Reason())
		}
		if m.start || m.end {
			continue
		}
		event := got.Batch[next]
		next++
		if m.device != "" {
			continue
		}
		if wrong := fits(m, event.Context.SessionID); wrong != "" {
			h.t.Fatalf("at %d of %s, %+v: session %d, %s\n%s\n%s", m.at, m.user, *m, event.Context.SessionID, wrong, h.know.tell(), strings.Join(explained[i].Rules, "\n"))
		}
		if event.Context.SessionStart != nil && !h.know.ownSession(m.user, event.Context.SessionID) {
			h.t.Fatalf("at %d of %s: the start mark of %d", m.at, m.user, event.Context.SessionID)
		}
	}
}

// exact compares a result with the oracle's answer.
func (h *history) exact(e *happening, got int64) string {
	want := h.know.answer(e)
	if got == want {
		return ""
	}
	// If changes in memory can be lost, an SDK's own session may seem shorter, by at most
	// the time between two writes.
	if device := h.know.device(e.user, e.at); h.forgets && device != "" && got == e.own {
		if last := h.know.ownBefore(device, e.at); last != nil && last.own == want && e.at-last.at > followTimeout*3/4 {
			return ""
		}
	}
	return fmt.Sprintf("not %d", want)
}

// requests sends messages, some together, some twice.
func (h *history) requests(order []*happening, fits func(*happening, int64) string) {
	for len(order) > 0 {
		n := min(rapid.IntRange(1, 3).Draw(h.t, "together"), len(order))
		// The position of the user's own control calls in a batch matters.
		h.send(order[:n], fits)
		if rapid.IntRange(0, 3).Draw(h.t, "again") == 0 {
			h.send(h.know[rapid.IntRange(0, len(h.know)-1).Draw(h.t, "which"):][:1], fits)
		}
		order = order[n:]
	}
}

// own is a store that is not in memory; strict is a shared one that does not report
// changes, so that nothing may be cached.
type (
	own    struct{ sessionstate.Store }
	strict struct{ sessionstate.Store }
)

func (strict) Watch(func(string), func()) bool { return false }

func checkHistories(t *testing.T, check func(h *history)) {
	rapid.Check(t, func(t *rapid.T) {
		memory := memorystore.New()
		memory.Resize(100)
		store := rapid.SampledFrom([]sessionstate.Store{memory, own{memory}, strict{memory}}).Draw(t, "store")
		table := sessionstate.NewTable(store, sessionstate.Options{Settings: sessionstate.Settings{
			Capacity: rapid.SampledFrom([]int{1, 100}).Draw(t, "capacity"), FlushInterval: time.Hour,
		}})
		if store == sessionstate.Store(memory) {
			table.Configure(sessionstate.Settings{Capacity: 100}) // too small for all
		}
		defer table.Close()
		check(&history{t: t, table: table, forgets: store != sessionstate.Store(memory)})
	})
}

// TestFollowing: devices' messages arrive in order, and some again; backends' events
// arrive at any time.
func TestFollowing(t *testing.T) {
	checkHistories(t, func(h *history) {
		h.draw(1, 30)
		var order, late []*happening
		for _, m := range h.all {
			if m.device == "" && !m.start && !m.end && rapid.Bool().Draw(h.t, "late") {
				late = append(late, m)
				continue
			}
			order = append(order, m)
			if len(late) > 0 && rapid.IntRange(0, 2).Draw(h.t, "arrives") == 0 {
				order, late = append(order, late[0]), late[1:]
			}
		}
		h.requests(append(order, late...), h.exact)
	})
}

// tells reports whether a message has more information than that somebody was active.
func (h *happening) tells() bool { return h.user != "" || h.start || h.end || h.own != 0 }

// TestFollowingLateDevices: devices' events may be late too, except those that name their
// user, or begin or end sessions. If an event arrives late for a time at which the user
// was on another device, events between it and the newest event there may follow either
// device.
func TestFollowingLateDevices(t *testing.T) {
	uncertain, all := 0, 0
	checkHistories(t, func(h *history) {
		h.draw(1, 30)
		var order, late []*happening
		for _, m := range h.all {
			if (m.device == "" || !m.tells()) && !m.start && !m.end && rapid.Bool().Draw(h.t, "late") {
				late = append(late, m)
				continue
			}
			order = append(order, m)
			if len(late) > 0 && rapid.IntRange(0, 2).Draw(h.t, "arrives") == 0 {
				at := rapid.IntRange(0, len(late)-1).Draw(h.t, "which")
				order = append(order, late[at])
				late = append(late[:at], late[at+1:]...)
			}
		}
		h.requests(append(order, late...), func(e *happening, got int64) string {
			all++
			if h.exact(e, got) == "" {
				return ""
			}
			uncertain++
			for _, device := range devices {
				if h.know.mayBeOn(e, device) && h.know.answerOn(e, device) == got {
					return ""
				}
			}
			return h.exact(e, got)
		})
	})
	t.Logf("%d of %d events might be told of another device", uncertain, all)
	if uncertain*20 > all {
		t.Error("more than a twentieth")
	}
}

// TestFollowingAnyOrder: all messages arrive in any order. A user's event may get any
// session, but never somebody else's.
func TestFollowingAnyOrder(t *testing.T) {
	checkHistories(t, func(h *history) {
		h.draw(1, 30)
		order := rapid.Permutation(h.all).Draw(h.t, "order")
		h.requests(order, func(e *happening, got int64) string {
			if got == 0 || got == e.own {
				return ""
			}
			for _, m := range h.know {
				began := m.start && m.at == got || m.own == got
				theirs := m.device == "" && m.user == e.user
				for _, other := range h.know {
					theirs = theirs || m.device != "" && other.device == m.device && other.user == e.user
				}
				if began && theirs {
					return ""
				}
			}
			return "which is none of the user's"
		})
	})
}
