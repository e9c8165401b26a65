package processes_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// operation is a request of a client.
type operation struct {
	user string
	call string // "start", "end", "reset", or "event"
	// id is the id of a startSession; message is the event's messageId.
	id      int64
	message string
}

// outcome is the result of an operation, as the client sees it.
type outcome struct {
	id    int64 // 0 is none
	start bool
	// unknown: there was no answer. It may have been carried out, or not, or may still
	// be carried out.
	unknown bool
}

// belief is a possible state of a user's session, given what clients have seen.
type belief struct {
	id     int64 // 0 is none; unseen is one that no client knows
	marked string
	// owed are the unanswered messages that may have got the start mark of an earlier
	// session, and would get it again in a retry.
	owed string
}

func (s belief) begin(id int64) belief {
	if s.marked != "" {
		s.owed += fmt.Sprintf("%s=%d;", s.marked, s.id)
	}
	return belief{id: id, owed: s.owed}
}

// owes returns the session whose mark a message may have.
func (s belief) owes(message string) (id int64, ok bool) {
	_, rest, ok := strings.Cut(";"+s.owed, ";"+message+"=")
	if ok {
		fmt.Sscan(strings.SplitN(rest, ";", 2)[0], &id)
	}
	return id, ok
}

// unseen is the id of a session that a resetSession without an answer began.
const unseen = -1

// sessionModel models one user's session with a single proxy and one request at a time.
var sessionModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		users := map[string][]porcupine.Operation{}
		for _, o := range history {
			user := o.Input.(operation).user
			users[user] = append(users[user], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range users {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return belief{} },
	Step: func(state, input, output any) (bool, any) {
		return input.(operation).step(state.(belief), output.(outcome))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func (o operation) step(s belief, out outcome) (bool, any) {
	switch o.call {
	case "start":
		return out.unknown || out.id == o.id, s.begin(o.id)
	case "end":
		return out.unknown || out.id == 0, s.begin(0)
	case "reset":
		switch {
		case s.id == 0:
			return out.unknown || out.id == 0, s
		case out.unknown:
			return true, s.begin(unseen)
		}
		return out.id != 0 && out.id != s.id, s.begin(out.id)
	}
	if id, ok := s.owes(o.message); ok {
		return out.unknown || out.start && (out.id == id || id == unseen), s
	}
	if s.id == unseen && !out.unknown {
		s.id = out.id
		if out.id == 0 {
			return false, s
		}
	}
	if s.id == 0 {
		return out.unknown || out.id == 0 && !out.start, s
	}
	mine := s.marked == "" || s.marked == o.message
	if mine {
		s.marked = o.message
	}
	return out.unknown || out.id == s.id && out.start == mine, s
}

// TestLinearizable: with three proxies that crash now and then, each user's session is at
// every moment the same as with a single proxy.
func TestLinearizable(t *testing.T) {
	redis := redistest.Start(t)
	plane := proxytest.NewDataPlane(t)
	plane.ReplyWith(proxytest.Echo)
	option := fmt.Sprintf("rudder_session {\n store redis %s {\n consistency strict\n timeout 10s\n}\n}", redis.URL())
	proxies := startFleet(t, 3, plane.Listener.Addr().String(), option, "automatic off")
	h := &history{begun: time.Now()}
	const workers, each, users = 6, 200, 8
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(11, uint64(worker)))
			for n := range each {
				user := random.IntN(users)
				o := operation{user: fmt.Sprint("user", user), call: "event", message: fmt.Sprintf("%d-%d", worker, n)}
				switch random.IntN(8) {
				case 0, 1:
					o.call, o.id = "start", 1_000_000_000+int64(worker*each+n)
				case 2, 3:
					// Not both for one user: an endSession that is overtaken by a
					// resetSession does not end the session that the latter began,
					// and no order of the two explains that.
					o.call = []string{"end", "reset"}[user%2]
				}
				// Without an answer it is sent again, as SDKs do, to another proxy.
				for try := range 3 {
					if h.do(t, proxies.get(worker+n+try), o) || o.call != "event" {
						break
					}
				}
			}
		})
	}
	for i := range 6 {
		target := h.count() + 60
		redistest.Await(t, "requests are answered", func() bool { return h.count() >= target })
		proxies.crash(i % 3)
	}
	all.Wait()
	h.check(t)
}

type history struct {
	begun time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (h *history) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// do carries out and records an operation, and reports whether it was answered.
func (h *history) do(t *testing.T, p *process, o operation) bool {
	path, body := "/v1/"+o.call+"Session", fmt.Sprintf(`{"anonymousId":%q}`, o.user)
	switch o.call {
	case "start":
		body = fmt.Sprintf(`{"anonymousId":%q,"sessionId":%d}`, o.user, o.id)
	case "event":
		path, body = "/v1/track", proxytest.Event(o.user, o.message)
	}
	call := time.Since(h.begun).Nanoseconds()
	a, err := p.Send(path, body)
	op := porcupine.Operation{Input: o, Call: call, Return: time.Since(h.begun).Nanoseconds()}
	switch {
	case err != nil && strings.Contains(err.Error(), "connection refused"):
		return false // it cannot have been carried out
	case err != nil:
		op.Output, op.Return = outcome{unknown: true}, time.Hour.Nanoseconds()
	case a.Status != http.StatusOK:
		t.Errorf("%s: %d %s", path, a.Status, a.Body)
		return true
	default:
		op.Output = seen(t, o, a)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
	return err == nil
}

func seen(t *testing.T, o operation, a proxytest.Reply) outcome {
	if o.call != "event" {
		id, err := sessionOf(a)
		if err != nil {
			t.Error(err)
		}
		return outcome{id: id}
	}
	var m proxytest.Message
	if err := json.Unmarshal([]byte(a.Body), &m); err != nil {
		t.Errorf("%v: %s", err, a.Body)
	}
	id, _ := m.Context.SessionID.Int64()
	return outcome{id: id, start: m.Context.SessionStart != nil}
}

// check searches for an order of the operations that explains every outcome.
func (h *history) check(t *testing.T) {
	unknown := 0
	marks := map[string]map[string]bool{} // the messages, by user and session
	for _, op := range h.ops {
		out := op.Output.(outcome)
		if out.unknown {
			unknown++
		}
		if out.start {
			o := op.Input.(operation)
			session := fmt.Sprint(o.user, " ", out.id)
			if marks[session] == nil {
				marks[session] = map[string]bool{}
			}
			marks[session][o.message] = true
		}
	}
	for session, messages := range marks {
		if len(messages) > 1 {
			t.Errorf("session %s has %d start marks", session, len(messages))
		}
	}
	result := porcupine.CheckOperationsTimeout(sessionModel, h.ops, time.Minute)
	t.Logf("%d operations, %d of them without an answer, %d sessions with a start mark: %s", len(h.ops), unknown, len(marks), result)
	if result == porcupine.Ok {
		return
	}
	t.Error("no order explains what clients have seen")
}
