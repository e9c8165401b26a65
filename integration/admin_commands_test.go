package integration_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestCommands runs the subcommands of the built Caddy.
func TestCommands(t *testing.T) {
	caddy := proxytest.Program(t)
	p := run(t, withAdmin("file", ""))
	p.Start(t, "one", 1111111111)
	dir := t.TempDir()
	file, body := filepath.Join(dir, "sessions"), filepath.Join(dir, "body")
	if err := os.WriteFile(body, []byte(`{"batch":[{"type":"track","anonymousId":"one","event":"a\u001b[31mb"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, input string
		fails       bool
		says        string // a pattern
	}{
		{"tables", "", false, `(?m)^TABLE .*\nfile +1 +1000000 `},
		{"tables --json", "", false, `^\[\{"table":"file","sessions":1,`},
		{"show --write-key wk1 --anonymous-id one", "", false, `^current session: 1111111111\n(?s:.*)manual +1111111111 +control`},
		{"show --write-key wk1 --anonymous-id two", "", false, `^nothing is known\n$`},
		{"show --write-key wk1", "", true, `anonymous_id or user_id is required`},
		{"show --table redis --write-key wk1 --anonymous-id one", "", true, `no such table: "redis"; there are: file`},
		{"export", "", false, `^\{"write_key":"wk1","anonymous_id":"one",.*\}\n$`},
		{"export -o " + file, "", false, `^$`},
		{"explain --write-key wk1 " + body, "", false, `^1\. .* stamped +manual_session +one  track "a.\[31mb"  1111111111, start\n   - Its session is that of the anonymousId "one"`},
		{"explain --write-key wk1 --endpoint track", `{"anonymousId":"one"}`, false, `stamped +manual_session`},
		{"explain --write-key wk1 --endpoint track --received 2001-01-01T00:00:00Z -", `{"anonymousId":"one"}`, false, `untouched left_to_sdk`},
		{"explain --write-key wk1 --received soon", `{}`, true, `--received: `},
		{"explain --write-key wk1", `{`, true, `the body must be`},
		{"end --write-key wk1 --anonymous-id one", "", false, `^ended\n$`},
		{"end --write-key wk1 --anonymous-id one", "", false, `^there was no session\n$`},
		{"forget --anonymous-id one", "", false, `^forgot 1\n$`},
		{"forget", "", true, `anonymous_id or user_id is required`},
		{"import " + file, "", false, `^read 1, wrote 1; `},
		{"import", "nonsense", true, `line 1: `},
		{"import " + file + "2", "", true, `no such file`},
		{"show --write-key wk1 --anonymous-id one", "", false, `^current session: 1111111111\n`},
		{"tables --address 127.0.0.1:1", "", true, `is Caddy running\?`},
		{"", "", false, `(?s)^\nLooks into, and manages, the sessions .*\n  watch `},
		{"export -o " + dir, "", true, `file exists`},
		{"sessions", "", true, `unknown command "sessions"`},
		{"tables file", "", true, `unexpected "file"`},
		{"export " + file, "", true, `unexpected "` + file},
		{"forget --anonymous-id one two", "", true, `unexpected "two"`},
		{"import " + file + " " + file, "", true, `unexpected "` + file},
		{"explain --write-key wk1", strings.Repeat(" ", 8<<20+1), true, `the body is larger than 8388608 bytes`},
	} {
		args := append([]string{"rudder-session"}, strings.Fields(c.args)...)
		if !strings.Contains(c.args, "--address") {
			args = append(args, "--address", p.adminAddress())
		}
		cmd := exec.Command(caddy, args...)
		cmd.Stdin = strings.NewReader(c.input)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		said := stdout.String()
		if c.fails {
			said = stderr.String()
		}
		if (err != nil) != c.fails || !regexp.MustCompile(c.says).MatchString(said) {
			t.Errorf("%s: %v\n%s%s", c.args, err, &stdout, &stderr)
		}
		if strings.Contains(said, "\x1b") {
			t.Errorf("%s: a control character of somebody else's, or colours, where there is no terminal: %q", c.args, said)
		}
	}
	if parts, err := filepath.Glob(dir + "*.part"); err != nil || len(parts) > 0 {
		t.Errorf("left are %v, %v", parts, err)
	}
}

func TestWatchCommand(t *testing.T) {
	caddy := proxytest.Program(t)
	p := run(t, withAdmin("memory", ""))
	cmd := exec.Command(caddy, "rudder-session", "watch", "--address", p.adminAddress(), "--anonymous-id", "one")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
		io.Copy(io.Discard, out)
	}()
	// Decisions made before the command watches are not shown.
	for {
		p.Start(t, "two", 2222222222)
		p.Start(t, "one", 1111111111)
		select {
		case line := <-lines:
			if !regexp.MustCompile(`^[\d:.]+ consumed  applied           one  startSession  1111111111, begins it`).MatchString(line) {
				t.Errorf("shown: %s", line)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
