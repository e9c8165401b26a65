package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/internal/terminal"
)

// optionFlags are the options of the handler that are flags too, with their help
// texts. The syntax of their values is that of the Caddyfile.
var optionFlags = []struct{ name, help string }{
	{"automatic", "Who makes sessions where startSession was not called: sdk, adopt, proxy [timeout] or off"},
	{"timeout", "The gap between two events of a user that ends a session, such as 30m"},
	{"cutoff", "The greatest length of an automatic session, or off"},
	{"manual-timeout", "The gap after which a manual session is over, or off"},
	{"identify-reset", "Whose identify with another userId ends a session: web, always or never"},
	{"control-events", "The event names of control calls: to start, end and reset a session"},
	{"write-keys", "The write keys whose sessions are enforced"},
	{"max-body", "The largest body that is read, such as 4000KiB"},
	{"max-session-starts", "How many sessions a user's control calls may begin in a minute, or off"},
	{"prefix", "What the paths of recorded requests begin with"},
}

// optionSwitches are the flags without a value.
var optionSwitches = []struct{ name, help string }{
	{"share-sessions", "A session belongs to the id alone, whatever the write key"},
	{"follow-user", "Events of a user without a device take the session that the user is in"},
	{"shadow", "Decide, but change no event"},
}

// Command makes the command `replay`.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay [files]",
		Short: "Tries a policy on recorded events",
		Long: `
Decides about recorded events as the handler would have, and reports what that
means for sessions: before a policy is used, or, with --output, to give events
that are stored already their sessions.

The files, or standard input, are JSON lines, plain or gzip: events with a
receivedAt, as object-storage destinations write them, or requests with path,
writeKey, receivedAt and body. They should be in the order of receivedAt.

The policy is that of the first rudder_session directive of --config, or of --site,
with the options that are given as flags instead of its own. --compare and
--variant try others on the same events.`,
		SilenceUsage: true,
	}
	f := cmd.Flags()
	f.StringP("config", "c", "", "A configuration with the policy")
	f.StringP("adapter", "a", "", "The name of the adapter of configurations")
	f.String("site", "", "The site of the configuration: a host that it serves, or the address on which it listens")
	f.StringArray("compare", nil, "Another configuration whose policy is tried too; can be given several times")
	f.StringArray("variant", nil, `The same policy with other options, tried too, in the Caddyfile's syntax: "automatic proxy; follow_user"; can be given several times`)
	for _, o := range optionFlags {
		f.String(o.name, "", o.help)
	}
	for _, o := range optionSwitches {
		f.Bool(o.name, false, o.help)
	}
	f.String("retention", "", "How long a user is remembered without an event, such as 400d")
	f.String("write-key", "", "The write key of lines that do not say theirs")
	f.StringP("output", "o", "", "A file that all lines are written to, with the sessions of the policy; - is standard output")
	f.String("controls", "mark", "What becomes of control calls in the output: mark adds a member rudderSessionControl, omit leaves them out, as the handler does")
	f.Bool("json", false, "Print the report as JSON, for other programs")
	f.Bool("ids", false, "Give the ids of the report's examples")
	f.Int("capacity", 50_000, "How many sessions, and users' figures, are in memory for each policy; the others are in a temporary file")
	f.String("temp-dir", "", "The directory of the temporary file")
	cmd.RunE = run
	return cmd
}

func run(cmd *cobra.Command, args []string) (err error) {
	for _, name := range []string{"address", "table"} {
		if flag := cmd.Flag(name); flag != nil && flag.Changed {
			return fmt.Errorf("%s: a replay asks no running Caddy", name)
		}
	}
	tuneMemory(os.Getenv)
	o := Options{Files: args, Stdin: cmd.InOrStdin()}
	f := cmd.Flags()
	o.WriteKey, _ = f.GetString("write-key")
	o.IDs, _ = f.GetBool("ids")
	o.TempDir, _ = f.GetString("temp-dir")
	if o.Capacity, _ = f.GetInt("capacity"); o.Capacity < 1 {
		return fmt.Errorf("capacity: %d is no number of sessions from 1", o.Capacity)
	}
	switch controls, _ := f.GetString("controls"); controls {
	case "mark":
	case "omit":
		o.OmitControls = true
	default:
		return fmt.Errorf("controls: %q is none of mark, omit", controls)
	}
	if o.Policies, err = policies(cmd); err != nil {
		return err
	}
	report := cmd.OutOrStdout()
	switch path, _ := f.GetString("output"); path {
	case "":
	case "-":
		o.Output, report = report, cmd.ErrOrStderr()
	default:
		if err := notAnInput(path, args, o.Stdin); err != nil {
			return err
		}
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		o.Output = file
	}
	asJSON, _ := f.GetBool("json")
	return replayTo(cmd, &o, report, asJSON)
}

// replayTo replays until the end of the input or an interrupt, and writes the report.
func replayTo(cmd *cobra.Command, o *Options, to io.Writer, asJSON bool) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	end := func() {}
	if terminal.Is(cmd.ErrOrStderr()) {
		o.Progress = new(Progress)
		end = o.Progress.Show(cmd.ErrOrStderr())
	}
	report, err := Run(ctx, o)
	end()
	if report != nil {
		if reporting := report.write(to, asJSON); reporting != nil {
			return errors.Join(err, reporting)
		}
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted: the report is of what was read until then")
	}
	return err
}

func (r *Report) write(to io.Writer, asJSON bool) error {
	if !asJSON {
		return r.Print(to)
	}
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// policies returns the policies to try: that of --config and the flags, and those of
// --compare and --variant.
func policies(cmd *cobra.Command) ([]Policy, error) {
	f := cmd.Flags()
	config, _ := f.GetString("config")
	site, _ := f.GetString("site")
	adapter, _ := f.GetString("adapter")
	if site != "" && config == "" {
		return nil, errors.New("site: needs a configuration (--config)")
	}
	main, name := new(caddymodule.SiteConfig), ""
	var err error
	if config != "" {
		name = filepath.Base(config)
		if main, err = readConfig(config, adapter, site); err != nil {
			return nil, err
		}
	}
	options := optionsOf(cmd)
	if options != "" {
		if main, err = main.With(options); err != nil {
			return nil, err
		}
		name = strings.TrimPrefix(name+"; "+strings.ReplaceAll(options, "\n", "; "), "; ")
	}
	if name == "" {
		name = "the defaults"
	}
	all := []Policy{{Name: name}}
	configs := []*caddymodule.SiteConfig{main}
	add := func(name string, c *caddymodule.SiteConfig) {
		all, configs = append(all, Policy{Name: name}), append(configs, c)
	}
	compared, _ := f.GetStringArray("compare")
	for _, path := range compared {
		c, err := readConfig(path, adapter, site)
		if err != nil {
			return nil, err
		}
		add(filepath.Base(path), c)
	}
	variants, _ := f.GetStringArray("variant")
	for _, options := range variants {
		c, err := main.With(strings.ReplaceAll(options, ";", "\n"))
		if err != nil {
			return nil, fmt.Errorf("variant %q: %w", options, err)
		}
		add(options, c)
	}
	retention, _ := f.GetString("retention")
	for i, c := range configs {
		if retention != "" {
			c.SetRetention(retention)
		}
		if all[i].Site, err = c.Site(); err != nil {
			return nil, fmt.Errorf("%s: %w", all[i].Name, err)
		}
	}
	return all, nil
}

// readConfig reads the policy of a configuration file.
func readConfig(path, adapter, site string) (*caddymodule.SiteConfig, error) {
	text, _, _, err := caddycmd.LoadConfig(path, adapter)
	if err != nil {
		return nil, err
	}
	c, err := caddymodule.ReadSite(text, site)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// optionsOf returns the options that are given as flags, as lines of a Caddyfile.
func optionsOf(cmd *cobra.Command) string {
	var lines []string
	for _, o := range optionFlags {
		if flag := cmd.Flag(o.name); flag.Changed {
			lines = append(lines, strings.ReplaceAll(o.name, "-", "_")+" "+flag.Value.String())
		}
	}
	for _, o := range optionSwitches {
		if on, _ := cmd.Flags().GetBool(o.name); on {
			lines = append(lines, strings.ReplaceAll(o.name, "-", "_"))
		}
	}
	return strings.Join(lines, "\n")
}

// notAnInput returns an error if the output would overwrite an input, or if an input
// does not exist.
func notAnInput(path string, inputs []string, stdin io.Reader) error {
	out, err := os.Stat(path)
	if err != nil || !out.Mode().IsRegular() {
		out = nil // a new file, a device, or a path where creating the file will fail
	}
	if len(inputs) == 0 {
		inputs = []string{"-"}
	}
	for _, name := range inputs {
		in, err := statInput(name, stdin)
		if err != nil && name != "-" {
			return err // before the output is truncated
		}
		if err == nil && out != nil && os.SameFile(out, in) {
			return fmt.Errorf("output: %s is read, too", path)
		}
	}
	return nil
}

func statInput(name string, stdin io.Reader) (os.FileInfo, error) {
	if name != "-" {
		return os.Stat(name)
	}
	if f, ok := stdin.(*os.File); ok {
		return f.Stat()
	}
	return nil, os.ErrNotExist
}

// tuneMemory sets the garbage collector, unless the environment does: a replay makes
// much short-lived garbage, and its live memory is far below the limit.
func tuneMemory(env func(string) string) {
	if env("GOGC") == "" && env("GOMEMLIMIT") == "" {
		debug.SetGCPercent(800)
		debug.SetMemoryLimit(512 << 20)
	}
}
