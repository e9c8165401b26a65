package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that the benchmark has started: a proxy, Redis, the
// upstream.
type process struct {
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// startProcess starts a program in dir, where it leaves its log, and waits
// until it accepts connections at address.
func startProcess(name, dir, address string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// However the benchmark ends, its processes end with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	if err := p.waitFor(address); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *process) waitFor(address string) error {
	deadline := time.After(30 * time.Second)
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			return c.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s does not start:\n%s", p.name, p.output())
		case <-deadline:
			return fmt.Errorf("%s does not listen on %s:\n%s", p.name, address, p.output())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *process) output() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.exited
	}
}

// cpu returns the processor time of the process and its children (nginx' workers), with
// the kernel's work for them.
func (p *process) cpu() (time.Duration, error) {
	pids, err := family(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, pid := range pids {
		s, err := readStat(pid)
		if err != nil {
			return 0, fmt.Errorf("%s is gone: %v\n%s", p.name, err, p.output())
		}
		total += s.cpu
	}
	return total, nil
}

// stat is what /proc says about a process.
type stat struct {
	parent int
	cpu    time.Duration
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The second field, the name in parentheses, may have spaces in it. The
	// fourth is the parent; utime and stime, the 14th and 15th, are in hundredths
	// of a second on any kernel.
	_, rest, ok := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 13 {
		return stat{}, errors.New("cannot read /proc/…/stat: " + string(text))
	}
	parent, _ := strconv.Atoi(fields[1])
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return stat{parent, time.Duration(user+system) * 10 * time.Millisecond}, nil
}

// family lists a process and its children.
func family(pid int) ([]int, error) {
	pids := []int{pid}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(child); err == nil && s.parent == pid {
			pids = append(pids, child)
		}
	}
	return pids, nil
}

// freeAddress returns an address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
