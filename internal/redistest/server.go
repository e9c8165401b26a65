// Package redistest runs real Redis servers for tests: redis-server must be on
// the PATH. They listen on free ports of the loopback interface, and stop at the end of
// the test.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/rudder-session/rudder-session/internal/freeport"
)

// Server is a process of redis-server.
type Server struct {
	// Addr is host:port.
	Addr string
	// Dir is the directory of the server's files.
	Dir string

	t       testing.TB
	args    []string
	process *exec.Cmd
	stopped bool
}

// Start runs a server that keeps nothing on disk, with more arguments for
// redis-server, such as "--maxmemory", "2mb".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir(), t: t}
	// Another program may take a free port before the server does.
	for range 10 {
		port := freeport.Claim(t)
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		s.args = append([]string{
			"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--daemonize", "no",
			"--repl-diskless-sync-delay", "0",
		}, args...)
		if s.run() == nil {
			t.Cleanup(s.Kill)
			return s
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

// run starts the process, and returns when it accepts connections.
func (s *Server) run() error {
	s.process = exec.Command("redis-server", s.args...)
	// If the test is killed, its servers are too.
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.process.StdoutPipe()
	if err != nil {
		return err
	}
	s.process.Stderr = s.process.Stdout
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.stopped = false
	lines := bufio.NewScanner(out)
	var log strings.Builder
	for lines.Scan() {
		fmt.Fprintln(&log, lines.Text())
		if text := lines.Text(); strings.Contains(text, "Ready to accept connections") || strings.Contains(text, "Sentinel ID is") {
			go io.Copy(io.Discard, out)
			return nil
		}
	}
	s.process.Wait()
	s.stopped = true
	s.t.Logf("redis-server: %s", log.String())
	return io.ErrUnexpectedEOF
}

// URL returns the server's URL, for clients.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Kill ends the process like a crash.
func (s *Server) Kill() {
	if s.stopped {
		return
	}
	s.stopped = true
	s.process.Process.Kill()
	s.process.Wait()
}

// Restart runs the server again after Kill, on the same port.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.run(); err != nil {
		s.t.Fatal(err)
	}
}

// Pause suspends the process, like a machine that hangs, until Resume.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Do runs a command on a new connection, and returns the reply as text.
func (s *Server) Do(args ...string) string {
	s.t.Helper()
	answer, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("%s: %v", args, err)
	}
	return answer
}

// Try is Do, but returns an error.
func (s *Server) Try(args ...string) (string, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.Addr}, ForceSingleClient: true, DisableCache: true, DisableRetry: true, AlwaysRESP2: true,
		// For one command, and quickly made: tests poll with it.
		RingScaleEachConn: 1, ReadBufferEachConn: 1 << 12, WriteBufferEachConn: 1 << 12,
	})
	if err != nil {
		return "", err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m, err := client.Do(ctx, client.B().Arbitrary(args...).Build()).ToMessage()
	if err != nil {
		return "", err
	}
	return text(m), nil
}

func text(m rueidis.RedisMessage) string {
	if v, err := m.ToString(); err == nil {
		return v
	}
	if v, err := m.AsInt64(); err == nil {
		return strconv.FormatInt(v, 10)
	}
	values, _ := m.ToArray()
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = text(v)
	}
	return strings.Join(parts, "\n")
}

// Await polls until a condition holds: often at first, and less so the longer it takes.
func Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for pause := time.Millisecond; !holds(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited two minutes in vain: %s", what)
		}
		time.Sleep(pause)
	}
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
