package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// file makes a file, and returns its name.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The output is the same for all forms of the input: compressed or not, in one file or
// several, with lines that are longer than a block.
func TestInputForms(t *testing.T) {
	smallBlocks(t)
	long := eventLine("a", 100, 100, `"x":"`+strings.Repeat("x", 3*blockSize)+`"`)
	half := eventLine("a", 1, 1, "") + eventLine("b", 2, 2, "")
	text := half + long + eventLine("a", 3, 3, "")
	want, report := replayText(t, text, Options{})
	if want == text || report.Policies[0].Stamped != 4 {
		t.Fatalf("%+v", report.Policies[0])
	}
	rest := text[len(half):]
	for name, files := range map[string][]string{
		"plain":              {text},
		"gzip":               {zipped(t, text)},
		"members of gzip":    {zipped(t, half) + zipped(t, "") + zipped(t, rest)},
		"mixed":              {half, zipped(t, rest)},
		"empty ones, too":    {"", half, zipped(t, ""), rest},
		"no last end":        {strings.TrimSuffix(text, "\n")},
		"no end of the file": {strings.TrimSuffix(half, "\n"), zipped(t, rest)},
	} {
		t.Run(name, func(t *testing.T) {
			var names []string
			for _, content := range files {
				names = append(names, file(t, "lines", content))
			}
			out, report, err := replayAll(t, Options{Files: names})
			if err != nil || strings.TrimSuffix(out, "\n") != strings.TrimSuffix(want, "\n") || report.Input.Lines != 4 {
				t.Errorf("%v, %d lines\n%.2000s", err, report.Input.Lines, out)
			}
		})
	}
	for name, in := range map[string]io.Reader{
		"a byte at a time": iotest.OneByteReader(strings.NewReader(half)),
		"gzip":             strings.NewReader(zipped(t, half)),
	} {
		out, report, err := replayAll(t, Options{Files: []string{"-", file(t, "rest", rest)}, Stdin: in})
		if err != nil || out != want || report.Input.Files[0] != "standard input" {
			t.Errorf("standard input, %s: %v\n%.2000s", name, err, out)
		}
	}
}

// Lines without events are counted, located, and passed on as they came.
func TestOddLines(t *testing.T) {
	at := `"receivedAt":"` + moment(5) + `"`
	odd := []struct {
		line string
		of   func(*InputReport) *OddLines // nil for blank lines
	}{
		{"", nil}, {" \t", nil}, {"\r", nil},
		{"x", notJSONLines}, {"[]", notJSONLines}, {`{"type":"track",` + at, notJSONLines}, {"\x00", notJSONLines},
		{`{"type":"track"}` + "{}", notJSONLines},
		{"{}", noEventLines}, {"{" + at + "}", noEventLines}, {`{"type":"track"}`, noEventLines},
		{`{"type":"track","receivedAt":"yesterday"}`, noEventLines}, {`{"type":"track","receivedAt":null}`, noEventLines},
		{`{"path":"/v1/track",` + at + `}`, noEventLines}, {`{"path":"v1/track","body":{},` + at + `}`, noEventLines},
	}
	var text strings.Builder
	want := map[int64]int{}
	for i, l := range odd {
		text.WriteString(l.line + "\n")
		if l.of != nil {
			want[int64(i+1)] = i
		}
	}
	out, report := replayText(t, text.String(), Options{})
	if out != text.String() {
		t.Errorf("came out as %q", out)
	}
	in := &report.Input
	if in.Blank != 3 || in.NotJSON.Lines != 5 || in.NotEvent.Lines != 7 || in.Lines != 15 || in.Events != 0 {
		t.Errorf("%+v", in)
	}
	place := func(line int) Place { return Place{"standard input", line} }
	if first := []Place{place(4), place(5), place(6), place(7), place(8)}; !reflect.DeepEqual(in.NotJSON.First, first) {
		t.Errorf("not JSON: %v", in.NotJSON.First)
	}
	if first := []Place{place(9), place(10), place(11), place(12), place(13)}; !reflect.DeepEqual(in.NotEvent.First, first) {
		t.Errorf("no event: %v", in.NotEvent.First)
	}
}

func notJSONLines(in *InputReport) *OddLines { return &in.NotJSON }
func noEventLines(in *InputReport) *OddLines { return &in.NotEvent }

// A block has a limited number of lines, even if they are very short.
func TestShortLines(t *testing.T) {
	text := strings.Repeat("\n", 3*blockLines) + "{}\n" + strings.Repeat("\n", blockLines) + "x"
	to := make(chan *block, 100)
	c := cutter{ctx: t.Context(), from: strings.NewReader(text), line: 1, to: to}
	if err := c.cut(); err != nil {
		t.Fatal(err)
	}
	close(to)
	line, all := 1, ""
	for b := range to {
		lines := strings.Count(string(b.text), "\n")
		if b.firstLine != line || lines > blockLines {
			t.Errorf("a block from line %d has %d lines", b.firstLine, lines)
		}
		line, all = line+lines, all+string(b.text)
	}
	if all != text || c.line != 4*blockLines+2 {
		t.Errorf("line %d, %d bytes", c.line, len(all))
	}
}

// Lines may end in CRLF.
func TestCRLF(t *testing.T) {
	line := eventLine("a", 1, 1, "")
	want, _ := replayText(t, line, Options{})
	out, _ := replayText(t, strings.ReplaceAll(line, "\n", "\r\n"), Options{})
	if out != strings.ReplaceAll(want, "\n", "\r\n") {
		t.Errorf("%q", out)
	}
}

// A line that is too long is passed on unread, and does not affect the lines around it.
func TestTooLong(t *testing.T) {
	smallBlocks(t)
	long := `{"x":"` + strings.Repeat("x", 2*maxLine) + `"}` + "\n"
	before, after := eventLine("a", 1, 1, ""), eventLine("a", 2, 2, "")
	want, _ := replayText(t, before+after, Options{})
	cut := strings.Index(want[1:], "{\"type\"") + 1
	out, report := replayText(t, before+long+after+"x\n", Options{})
	if out != want[:cut]+long+want[cut:]+"x\n" {
		t.Errorf("%d bytes, of %d", len(out), len(want)+len(long)+2)
	}
	in := report.Input
	if in.TooLong.Lines != 1 || in.TooLong.First[0].Line != 2 || in.Lines != 4 || in.NotJSON.First[0].Line != 4 {
		t.Errorf("%+v", in)
	}
}

// Damaged input ends the replay with an error that says where; everything before that is
// in the output.
func TestBrokenInput(t *testing.T) {
	half := eventLine("a", 1, 1, "") + eventLine("b", 2, 2, "")
	want, _ := replayText(t, half, Options{})
	whole := zipped(t, half)
	long := zipped(t, strings.Repeat(half, 500))
	for name, c := range map[string]struct{ content, want string }{
		"without its end": {whole[:len(whole)-8], "line 3, 478 bytes into its text: the gzip ends too early"},
		"only its header": {whole[:5], "line 1, 0 bytes into its text: the gzip ends too early"},
		"damaged":         {whole[:len(whole)-8] + "\x00\x00\x00\x00" + whole[len(whole)-4:], "line 3, 478 bytes into its text: gzip: invalid checksum"},
		"garbage behind":  {whole + "more than a header is long", "line 3, 478 bytes into its text: gzip: invalid header"},
		"in a line":       {long[:len(long)/2], "the gzip ends too early"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "events.gz", c.content)
			out, report, err := replayAll(t, Options{Files: []string{path, path}})
			if err == nil || !strings.Contains(err.Error(), path+": line ") || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			switch {
			case name == "only its header":
			case !strings.HasPrefix(out, want[:len(want)/2]):
				t.Errorf("came out: %.1000q", out)
			case report.Policies[0].Stamped < 2:
				t.Errorf("%+v", report.Policies[0])
			}
		})
	}
}

// A file that cannot be read is an error before anything is done.
func TestUnreadableInput(t *testing.T) {
	good, dir := file(t, "good", eventLine("a", 1, 1, "")), t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file", dir: "is a directory",
	} {
		out, report, err := replayAll(t, Options{Files: []string{good, path}})
		if err == nil || !strings.Contains(err.Error(), want) || out != "" || report != nil {
			t.Errorf("%v, %q, %v", err, out, report)
		}
	}
	broken := errors.New("broken")
	out, report, err := replayAll(t, Options{Stdin: io.MultiReader(strings.NewReader(eventLine("a", 1, 1, "")), iotest.ErrReader(broken))})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "standard input: line 2, ") || out == "" || report.Input.Lines != 1 {
		t.Errorf("%v, %q", err, out)
	}
}

// A failing output, or temporary file, ends the replay.
func TestBrokenOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	_, _, err = replayAll(t, Options{Stdin: strings.NewReader(randomText(1, 10, 500)), Output: full})
	if err == nil || !strings.Contains(err.Error(), "writing the output: ") || !strings.Contains(err.Error(), "no space left") {
		t.Error(err)
	}
	_, report, err := replayAll(t, Options{TempDir: filepath.Join(t.TempDir(), "none")})
	if err == nil || report != nil {
		t.Error(err, report)
	}
}

// After the temporary file has failed, no later decisions are written.
func TestBrokenTemporaryFile(t *testing.T) {
	maxWaiting = 1000
	t.Cleanup(func() { maxWaiting = 16 << 20 })
	f, err := newSpillFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := &Options{Policies: []Policy{policy(t, "automatic proxy")}, Capacity: 64}
	r := &replay{Options: o, workers: 2, output: bufio.NewWriter(&out), file: f}
	o.Output = &out
	if r.input, err = openInput(nil, strings.NewReader(randomText(2, 500, 2000))); err != nil {
		t.Fatal(err)
	}
	r.trials = []*trial{newTrial(o, 0, f, r.workers)}
	if err := r.run(t.Context()); err == nil {
		t.Error("it went on")
	}
	if err := f.failed(); err == nil || !strings.HasPrefix(err.Error(), "the temporary store: ") || out.Len() > 0 {
		t.Errorf("%v, %d bytes were written", err, out.Len())
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}
