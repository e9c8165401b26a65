package replay

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/spf13/cobra"

	"github.com/rudder-session/rudder-session/caddymodule/internal/terminal"
)

// command runs the command with arguments, as a subcommand, with a text as standard
// input.
func command(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	t.Setenv("GOMEMLIMIT", "off") // the tests' own
	root := &cobra.Command{Use: "rudder-session"}
	for _, name := range []string{"address", "config", "adapter", "table"} {
		root.PersistentFlags().String(name, "", "")
	}
	root.AddCommand(Command())
	root.SetArgs(append([]string{"replay", "--temp-dir", t.TempDir()}, args...))
	root.SetIn(strings.NewReader(stdin))
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	err = root.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

// policiesOf runs the command, and returns its report about the policies.
func policiesOf(t *testing.T, args ...string) []PolicyReport {
	t.Helper()
	out, _, err := command(t, story(), append(args, "--json", "--write-key", "wk")...)
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	return report.Policies
}

func TestCommandOutput(t *testing.T) {
	want, _ := replayText(t, story(), Options{WriteKey: "wk", OmitControls: true})
	if strings.Contains(want, `"/v1/startSession"`) || strings.Contains(want, "endSession") {
		t.Errorf("control calls are left:\n%s", want)
	}
	path := filepath.Join(t.TempDir(), "out")
	args := []string{"--automatic", "proxy", "--write-key", "wk", "--controls", "omit", "-o"}
	report, _, err := command(t, story(), append(args, path)...)
	got, reading := os.ReadFile(path)
	if err != nil || reading != nil || string(got) != want {
		t.Errorf("%v %v\n%s", err, reading, got)
	}
	if !strings.Contains(report, "sessions that are merged") {
		t.Errorf("no report: %q", report)
	}
	// If the lines go to standard output, the report does not.
	out, elsewhere, err := command(t, story(), append(args, "-")...)
	if err != nil || out != want || elsewhere != report {
		t.Errorf("%v\n%s\n%s", err, out, elsewhere)
	}
	// Control calls stay, marked, unless --controls omit removes them.
	out, _, err = command(t, story(), "--write-key", "wk", "-o", "-")
	if err != nil || strings.Count(out, `"rudderSessionControl":"`) != 4 || strings.Count(out, "\n") != strings.Count(story(), "\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "\n"+`{"rudderSessionControl":"startSession","path":"/v1/startSession",`) || !strings.Contains(out, `{"rudderSessionControl":"endSession","type":"endSession",`) {
		t.Errorf("%s", out)
	}
}

// The output must not be an input file.
func TestCommandOverInput(t *testing.T) {
	text := eventLine("a", 1, 1, "")
	path := file(t, "in", text)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{path, link} {
		if _, _, err := command(t, "", path, "-o", out); err == nil || err.Error() != "output: "+out+" is read, too" {
			t.Error(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := notAnInput(path, nil, f); err == nil {
		t.Error("standard input is written over")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("%v, %q", err, got)
	}
}

const config = `{
	admin off
	rudder_session {
		retention 10d
	}
}
http://a.example.com, http://www.a.example.com {
	rudder_session {
		automatic proxy {env.REPLAY_TEST_TIMEOUT}
		source wk2 {
			automatic off
		}
	}
	reverse_proxy 127.0.0.1:8080
}
http://b.example.com {
	rudder_session {
		automatic off
	}
}
`

func TestCommandConfig(t *testing.T) {
	t.Setenv("REPLAY_TEST_TIMEOUT", "2h")
	caddyfile := file(t, "Caddyfile", config)
	jsonFile := file(t, "other.json", `{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"rudder_session","automatic":"adopt"}]}]}}}}}`)
	for name, c := range map[string]struct {
		args  []string
		names []string
		split []int64
		// stamped is the number of stamped events for each policy.
		stamped []int64
	}{
		"the first":   {[]string{"-c", caddyfile}, []string{"Caddyfile"}, []int64{0}, []int64{8}},
		"site":        {[]string{"-c", caddyfile, "--site", "b.example.com"}, []string{"Caddyfile"}, []int64{0}, []int64{1}},
		"second host": {[]string{"-c", caddyfile, "--site", "www.a.example.com"}, []string{"Caddyfile"}, []int64{0}, []int64{8}},
		"other options": {
			[]string{"-c", caddyfile, "--timeout", "30m"}, []string{"Caddyfile; timeout 30m"}, []int64{1}, []int64{8},
		},
		"another source": {[]string{"-c", caddyfile, "--write-keys", "wk2"}, []string{"Caddyfile; write_keys wk2"}, []int64{0}, []int64{0}},
		"compared": {
			[]string{"-c", caddyfile, "--compare", jsonFile, "--variant", "automatic proxy 30m; follow_user"},
			[]string{"Caddyfile", "other.json", "automatic proxy 30m; follow_user"}, []int64{0, 0, 1}, []int64{8, 7, 8},
		},
		"only flags": {[]string{"--automatic", "off", "--shadow"}, []string{"automatic off; shadow"}, []int64{0}, []int64{1}},
		"nothing":    {nil, []string{"the defaults"}, []int64{0}, []int64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := policiesOf(t, c.args...)
			if len(got) != len(c.names) {
				t.Fatalf("%d policies", len(got))
			}
			for i := range got {
				if got[i].Name != c.names[i] || got[i].Split != c.split[i] || got[i].Stamped != c.stamped[i] {
					t.Errorf("%q splits %d and stamps %d", got[i].Name, got[i].Split, got[i].Stamped)
				}
			}
		})
	}
}

// Errors about options name the option.
func TestCommandErrors(t *testing.T) {
	caddyfile := file(t, "Caddyfile", config)
	t.Setenv("REPLAY_TEST_TIMEOUT", "soon")
	none := file(t, "none.json", `{"apps":{"http":{}}}`)
	odd := file(t, "odd.json", `{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"rudder_session","automatik":"adopt"}]}]}}}}}`)
	for _, c := range []struct {
		args string
		want string
	}{
		{"--automatic maybe", `automatic: "maybe" is none of sdk, adopt, proxy, off`},
		{"--timeout -3m", "timeout: "},
		{"--retention soon", "retention: "},
		{"--max-body much", "max_body: "},
		{"--control-events one", "control_events: three names are needed"},
		{"--variant automatik", `variant "automatik": `},
		{"--variant follow_user;}", `variant "follow_user;}": `},
		{"--controls keep", `controls: "keep" is none of mark, omit`},
		{"--capacity 0", "capacity: 0 is no number"},
		{"--capacity many", "capacity"},
		{"--address localhost:2019", "address: a replay asks no running Caddy"},
		{"--table file", "table: a replay asks no running Caddy"},
		{"--site a.example.com", "site: needs a configuration"},
		{"-c " + caddyfile + " --site c.example.com", `site: no rudder_session handler serves "c.example.com"; there are: a.example.com, www.a.example.com; b.example.com`},
		{"-c " + caddyfile, `timeout: "soon" is no duration`},
		{"-c " + none, "none.json: the configuration has no rudder_session handler"},
		{"-c " + odd, "automatik"},
		{"-c " + filepath.Join(t.TempDir(), "nothing"), "no such file"},
		{"--compare " + none, "none.json: "},
		{"-o " + t.TempDir(), "is a directory"},
		{"--temp-dir /nowhere", "/nowhere"},
		{"missing.jsonl", "missing.jsonl: no such file"},
	} {
		out, _, err := command(t, "", strings.Fields(c.args)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "options:") || out != "" {
			t.Errorf("%s: %v, %q", c.args, err, out)
		}
	}
}

// The progress is one line, which is erased at the end.
func TestProgress(t *testing.T) {
	var p Progress
	if got := p.line(time.Second); got != "" {
		t.Error(got)
	}
	in, err := openInput([]string{file(t, "in", strings.Repeat("x", 4000))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.begin(in)
	in.read.Store(1000)
	p.events.Store(3000)
	if got := p.line(2 * time.Second); got != "█████░░░░░░░░░░░░░░░  25 %, 1.0 kB read, 3,000 events, 1,500 a second, 6s left" {
		t.Error(got)
	}
	in.total = 0
	if got := p.line(2 * time.Second); got != "1.0 kB read, 3,000 events, 1,500 a second" {
		t.Error(got)
	}
	var b bytes.Buffer
	p.Show(&b)()
	if !strings.HasSuffix(b.String(), "\r\x1b[K") || terminal.Is(&b) {
		t.Errorf("%q", b.String())
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if terminal.Is(w) {
		t.Error("a pipe is a terminal")
	}
}
