package proxytest

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/freeport"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// Process is a Caddy in its own process, which can be killed.
type Process struct {
	T      testing.TB
	Port   int
	Client *http.Client
	Cmd    *exec.Cmd
	// Dir is where it keeps its files, among them its configuration.
	Dir string

	log   string
	ended chan struct{}
}

// StartProcess runs a Caddy, with the Caddyfile that configure returns for a port. It
// stops at the end of the test.
func StartProcess(t testing.TB, configure func(p *Process) string) *Process {
	t.Helper()
	p := &Process{T: t, Dir: t.TempDir()}
	p.log = filepath.Join(p.Dir, "log")
	p.Client = &http.Client{
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}, Timeout: time.Minute,
	}
	t.Cleanup(func() {
		p.Client.CloseIdleConnections()
		if p.ended != nil {
			p.stop()
		}
		if log, err := os.ReadFile(p.log); err == nil && (t.Failed() || bytes.Contains(log, []byte("DATA RACE"))) {
			t.Errorf("log of a Caddy: %s", log[max(0, len(log)-10_000):])
		}
	})
	for range 10 {
		p.Port = freeport.Claim(t)
		if err := os.WriteFile(p.config(), []byte(configure(p)), 0o600); err != nil {
			t.Fatal(err)
		}
		if p.Start() {
			return p
		}
	}
	t.Fatal("Caddy does not start")
	return nil
}

func (p *Process) config() string { return filepath.Join(p.Dir, "Caddyfile") }

// Start runs the process, and reports whether it accepts connections.
func (p *Process) Start() bool {
	p.T.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.T.Fatal(err)
	}
	defer log.Close()
	p.Cmd = exec.Command(Program(p.T), "run", "--config", p.config(), "--adapter", "caddyfile")
	p.Cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+p.Dir, "XDG_CONFIG_HOME="+p.Dir)
	p.Cmd.Stdout, p.Cmd.Stderr = log, log
	if err := p.Cmd.Start(); err != nil {
		p.T.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { p.Cmd.Wait(); close(ended) }()
	up := false
	redistest.Await(p.T, "Caddy takes connections, or ends", func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		c, err := net.Dial("tcp", p.Address())
		if err == nil {
			c.Close()
		}
		up = err == nil
		return up
	})
	p.ended = ended
	return up
}

// Address is host:port.
func (p *Process) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)) }

// Kill ends the process at once, like a crash.
func (p *Process) Kill() {
	p.Cmd.Process.Kill()
	<-p.ended
}

func (p *Process) stop() {
	p.Cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		p.Kill()
		p.T.Error("Caddy does not stop")
	}
}

// Send posts a body under the write key wk1. An error means that there was no
// whole answer.
func (p *Process) Send(path, body string) (Reply, error) {
	return p.Do(http.MethodPost, path, body)
}

// Do sends a request under the write key wk1.
func (p *Process) Do(method, path, body string) (Reply, error) {
	r, err := http.NewRequest(method, "http://"+p.Address()+path, strings.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	r.SetBasicAuth("wk1", "")
	return Exchange(p.Client, r)
}
