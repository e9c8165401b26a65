//go:build linux

package replay

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asCommand in the environment makes the test binary run the command.
const asCommand = "RUDDER_SESSION_TEST_REPLAY"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) == "" {
		os.Exit(m.Run())
	}
	if Command().Execute() != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// An interrupted replay ends at once, even if its input does not, with the report so
// far, whole lines, and no temporary file.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	text := randomText(3, 100, 2000)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-o", "-", "--automatic", "proxy", "--temp-dir", dir)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// More than it reads and writes at a time; after that, the input blocks for ever.
	go io.WriteString(in, text+"{")
	lines := bufio.NewReader(out)
	if _, err := lines.Peek(1); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v, %s", err, &stderr)
	}
	want, _ := replayText(t, text, Options{})
	if !strings.HasPrefix(want, string(got)) || !bytes.HasSuffix(got, []byte("\n")) {
		t.Errorf("it wrote %d bytes, that end with %.100q", len(got), got[max(len(got)-100, 0):])
	}
	for _, want := range []string{
		"Error: interrupted: the report is of what was read until then",
		fmt.Sprintf("standard input: %d lines", bytes.Count(got, []byte("\n"))),
	} {
		if said := strings.ReplaceAll(stderr.String(), ",", ""); !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(stderr.String(), "\x1b") {
		t.Error("progress where nobody looks")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// On a terminal, progress is shown, and erased at the end.
func TestProgressOnTerminal(t *testing.T) {
	ours, theirs := pseudoTerminal(t)
	in, feed := io.Pipe()
	cmd := Command()
	cmd.SetArgs([]string{"--temp-dir", t.TempDir()})
	cmd.SetIn(in)
	cmd.SetOut(io.Discard)
	cmd.SetErr(theirs)
	t.Setenv("GOMEMLIMIT", "off")
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(t.Context()) }()
	shown := bufio.NewReader(ours)
	if text, err := shown.ReadString('K'); err != nil || !strings.Contains(text, "0 B read, 0 events") {
		t.Errorf("%q, %v", text, err)
	}
	feed.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	fmt.Fprint(theirs, "end\n")
	text, err := shown.ReadString('\n')
	if err != nil || !strings.HasSuffix(text, "\r\x1b[Kend\r\n") {
		t.Errorf("%q, %v", text, err)
	}
}

// pseudoTerminal makes a terminal. What is written to other can be read from here.
func pseudoTerminal(t *testing.T) (here, other *os.File) {
	t.Helper()
	here, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { here.Close() })
	if err := unix.IoctlSetPointerInt(int(here.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(int(here.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	other, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { other.Close() })
	return here, other
}
