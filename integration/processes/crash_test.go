package processes_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// crashes is how often a proxy is killed: RUDDER_SESSION_CRASHES, or a few times.
func crashes() int {
	if n, err := strconv.Atoi(os.Getenv("RUDDER_SESSION_CRASHES")); err == nil {
		return n
	}
	return 8
}

// TestCrashes kills proxies under load, again and again. Each answered control call must
// be in the store, each answered event at the data plane.
func TestCrashes(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		testCrashes(t, 1, "rudder_session {\n store file\n}", 0)
	})
	t.Run("redis", func(t *testing.T) {
		redis := redistest.Start(t)
		testCrashes(t, 3, "rudder_session {\n store redis "+redis.URL()+" {\n timeout 10s\n}\n}", 0)
	})
}

// load is what clients sent, and which of it was answered.
type load struct {
	mu        sync.Mutex
	answered  map[string]int64  // the session of each user whose control call was answered
	delivered map[string]string // the event of each messageId that was answered

	starts, events atomic.Int64 // sent; answered are fewer
}

// clients is how many clients run at the same time.
const clients = 6

// testCrashes allows up to twice sessions to have two start marks.
func testCrashes(t *testing.T, n int, option string, twice int) {
	plane := proxytest.NewDataPlane(t)
	plane.ReplyWith(proxytest.Echo)
	proxies := startFleet(t, n, plane.Listener.Addr().String(), option, "automatic off")
	l := &load{answered: map[string]int64{}, delivered: map[string]string{}}
	var users atomic.Int64
	done := make(chan struct{})
	var workers sync.WaitGroup
	defer workers.Wait()
	stop := sync.OnceFunc(func() { close(done) })
	defer stop()
	for worker := range clients {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(worker)))
			for {
				select {
				case <-done:
					return
				default:
				}
				l.user(t, proxies.get(random.IntN(n)), fmt.Sprint("user", users.Add(1)), random)
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range crashes() {
		// Count control calls, not time, until the next crash.
		target := l.count() + 20 + random.IntN(60)
		redistest.Await(t, "control calls are answered", func() bool { return l.count() >= target })
		proxies.crash(random.IntN(n))
	}
	stop()
	workers.Wait()
	l.check(t, proxies.get(0), plane, twice)
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answered)
}

// user starts a session in one of the three ways and sends events, like an SDK without
// retries: a request without an answer may have been carried out or not.
func (l *load) user(t *testing.T, p *process, name string, random *rand.Rand) {
	id := 1_000_000_000 + random.Int64N(1_000_000_000)
	path, body := "/v1/startSession", fmt.Sprintf(`{"anonymousId":%q,"sessionId":%d,"messageId":"start %s"}`, name, id, name)
	switch random.IntN(3) {
	case 0:
		path, body = "/v1/batch", `{"batch":[`+strings.Replace(body, "{", `{"type":"startSession",`, 1)+`]}`
	case 1:
		path, body = "/v1/track", fmt.Sprintf(`{"anonymousId":%q,"event":"startSession","properties":{"sessionId":%d},"messageId":"start %[1]s"}`, name, id)
	}
	l.starts.Add(1)
	a, err := p.Send(path, body)
	if err == nil && a.Status != http.StatusOK {
		t.Errorf("%s: %d %s", path, a.Status, a.Body)
	}
	if err == nil {
		l.mu.Lock()
		l.answered[name] = id
		l.mu.Unlock()
	}
	for i := range 3 {
		message := fmt.Sprint(name, " event ", i)
		l.events.Add(1)
		if a, err := p.Send("/v1/track", proxytest.Event(name, message)); err == nil {
			if a.Status != http.StatusOK && a.Status != http.StatusBadGateway {
				t.Errorf("event: %d %s", a.Status, a.Body)
			}
			l.mu.Lock()
			l.delivered[message] = a.Body
			l.mu.Unlock()
		}
	}
}

func (l *load) check(t *testing.T, p *process, plane *proxytest.DataPlane, allowed int) {
	lost, wrong, unstamped := 0, 0, 0
	for name, id := range l.answered {
		if got, err := p.current(name); err != nil {
			t.Fatal(err)
		} else if got != id {
			lost++
		}
	}
	arrived, marks := map[string]string{}, map[string]map[string]bool{}
	// A proxy that is killed while it forwards a request sends an incomplete one.
	whole := slices.DeleteFunc(plane.Take(), func(a *proxytest.Arrival) bool { return a.Err != nil })
	for _, m := range proxytest.Messages(t, whole...) {
		arrived[m.MessageID] = m.Session()
		if m.Context.SessionStart != nil {
			if marks[m.AnonymousID] == nil {
				marks[m.AnonymousID] = map[string]bool{}
			}
			marks[m.AnonymousID][m.MessageID] = true
		}
	}
	missing := 0
	for message := range l.delivered {
		session, ok := arrived[message]
		if !ok {
			missing++
			continue
		}
		name, _, _ := strings.Cut(message, " ")
		id, started := l.answered[name]
		switch session = strings.TrimSuffix(session, "!"); {
		case session == "" && started:
			unstamped++
		case session != "" && started && session != fmt.Sprint(id):
			wrong++
		}
	}
	twice := 0
	for _, messages := range marks {
		if len(messages) > 1 {
			twice++
		}
	}
	t.Logf("%d crashes: %d control calls sent, %d answered, %d of them lost; %d events sent, %d answered, %d of them missing, %d without their session, %d in another; %d sessions with two start marks",
		crashes(), l.starts.Load(), len(l.answered), lost, l.events.Load(), len(l.delivered), missing, unstamped, wrong, twice)
	if lost+missing+unstamped+wrong > 0 || twice > allowed {
		t.Error("something was lost")
	}
}
