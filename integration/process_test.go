package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/freeport"
	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// built is a Caddy of this source, with all stores, for tests that kill it.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rudder-session-test-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "caddy")
	args := append([]string{"build", "-tags", "redis", "-o", path}, raceFlags...)
	out, err := exec.Command("go", append(args, "./cmd/caddy")...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

// builtIn is the directory of that Caddy, once it is built.
var builtIn string

// TestMain runs the tests in the root of the repository, whose files they read.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	status := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(status)
}

// process is a Caddy in its own process, which can be killed.
type process struct {
	t      testing.TB
	port   int
	config string
	log    string
	cmd    *exec.Cmd
	client *http.Client
	ended  chan struct{}
}

// startProcess runs a Caddy with a global option in front of an upstream.
func startProcess(t testing.TB, upstream, option, handler string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{t: t, config: filepath.Join(dir, "Caddyfile"), log: filepath.Join(dir, "log")}
	p.client = &http.Client{
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}, Timeout: time.Minute,
	}
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		p.stop()
		if log, err := os.ReadFile(p.log); err == nil && (t.Failed() || bytes.Contains(log, []byte("DATA RACE"))) {
			t.Errorf("log of a Caddy: %s", log[max(0, len(log)-10_000):])
		}
	})
	for range 10 {
		p.port = freeport.Claim(t)
		text := fmt.Sprintf(`{
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
`, dir, option, p.port, handler, upstream)
		if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p.start() {
			return p
		}
	}
	log, _ := os.ReadFile(p.log)
	t.Fatalf("Caddy does not start: %s", log)
	return nil
}

// start runs the process, and reports whether it accepts connections.
func (p *process) start() bool {
	p.t.Helper()
	path, err := built()
	if err != nil {
		p.t.Fatal(err)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(path, "run", "--config", p.config, "--adapter", "caddyfile")
	home := filepath.Dir(p.config)
	p.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { p.cmd.Wait(); close(ended) }()
	up := false
	redistest.Await(p.t, "Caddy takes connections, or ends", func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		c, err := net.Dial("tcp", p.address())
		if err == nil {
			c.Close()
		}
		up = err == nil
		return up
	})
	p.ended = ended
	return up
}

func (p *process) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// kill ends the process at once, like a crash.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// stop makes the process shut down.
func (p *process) stop() {
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.kill()
		p.t.Error("Caddy does not stop")
	}
}

// answer is the answer of a process. With an upstream that echoes, its body is the request
// as it reached the upstream.
type answer struct {
	status int
	body   string
}

// send posts a body under the write key wk1. An error means that there was no
// whole answer.
func (p *process) send(path, body string) (answer, error) {
	return p.do(http.MethodPost, path, body)
}

func (p *process) do(method, path, body string) (a answer, err error) {
	r, err := http.NewRequest(method, "http://"+p.address()+path, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	r.SetBasicAuth("wk1", "")
	response, err := p.client.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(text)}, err
}

// session reads the session id in the answer of a control endpoint; 0 stands for null.
func (a answer) session() (id int64, err error) {
	var v struct{ SessionID int64 }
	if a.status != http.StatusOK {
		return 0, fmt.Errorf("%d %s", a.status, a.body)
	}
	return v.SessionID, json.Unmarshal([]byte(a.body), &v)
}

// current requests the current session of a user.
func (p *process) current(anonymousID string) (int64, error) {
	a, err := p.do(http.MethodGet, "/v1/session?anonymousId="+anonymousID, "")
	if err != nil {
		return 0, err
	}
	return a.session()
}

// echo makes a data plane answer with the request's body.
func echo(a *proxytest.Arrival) (int, string) { return http.StatusOK, string(a.Body) }

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
func (f *fleet) crash(t *testing.T, i int) {
	t.Helper()
	f.starting[i].Lock()
	defer f.starting[i].Unlock()
	f.processes[i].kill()
	if !f.processes[i].start() {
		t.Fatal("Caddy did not start again")
	}
}
