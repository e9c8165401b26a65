package processes_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

func TestMain(m *testing.M) { proxytest.Main(m) }

// process is a Caddy in its own process, which can be killed.
type process struct{ *proxytest.Process }

// startProcess runs a Caddy with a global option in front of an upstream.
func startProcess(t testing.TB, upstream, option, handler string) *process {
	t.Helper()
	return &process{proxytest.StartProcess(t, func(p *proxytest.Process) string {
		return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	default_bind 127.0.0.1
	grace_period 1s
	storage file_system %q
	%s
}
http://:%d {
	rudder_session {
		%s
	}
	reverse_proxy %s
}
`, p.Dir, option, p.Port, handler, upstream)
	})}
}

// sessionOf reads the session id in the answer of a control endpoint; 0 stands for null.
func sessionOf(answer proxytest.Reply) (id int64, err error) {
	var v struct{ SessionID int64 }
	if answer.Status != http.StatusOK {
		return 0, fmt.Errorf("%d %s", answer.Status, answer.Body)
	}
	return v.SessionID, json.Unmarshal([]byte(answer.Body), &v)
}

// current requests the current session of a user.
func (p *process) current(anonymousID string) (int64, error) {
	answer, err := p.Do(http.MethodGet, "/v1/session?anonymousId="+anonymousID, "")
	if err != nil {
		return 0, err
	}
	return sessionOf(answer)
}

// restart kills the process and starts it again.
func (p *process) restart() {
	p.T.Helper()
	p.Kill()
	if !p.Start() {
		p.T.Fatal("Caddy did not start again")
	}
}

// fleet is several processes with the same configuration.
type fleet struct {
	processes []*process
	starting  []sync.RWMutex // held while one is killed and started
}

func startFleet(t *testing.T, n int, upstream, option, handler string) *fleet {
	t.Helper()
	f := &fleet{starting: make([]sync.RWMutex, n)}
	for range n {
		f.processes = append(f.processes, startProcess(t, upstream, option, handler))
	}
	return f
}

// get waits until a process is not being restarted, and returns it. It may be killed while
// it is used.
func (f *fleet) get(i int) *process {
	i %= len(f.processes)
	f.starting[i].RLock()
	defer f.starting[i].RUnlock()
	return f.processes[i]
}

// crash kills a process and starts it again.
func (f *fleet) crash(i int) {
	f.starting[i].Lock()
	defer f.starting[i].Unlock()
	f.processes[i].restart()
}
