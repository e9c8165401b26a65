package admincli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/internal/manage"
	"github.com/rudder-session/rudder-session/caddymodule/internal/terminal"
)

func exportCommand() *cobra.Command {
	cmd := command("export", "Writes all sessions as JSON lines", `
Writes all sessions of a table as JSON lines, one session each, to standard
output or the file of --output: a backup, or what import of another table takes.
The progress is shown on standard error where that is a terminal.`,
		func(cmd *cobra.Command, _ []string) error {
			response, err := call(cmd, http.MethodGet, "export", nil)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if path := cmd.Flag("output").Value.String(); path != "" {
				return exportTo(cmd, path, response.Body)
			}
			return copyLines(cmd, cmd.OutOrStdout(), response.Body)
		})
	cmd.Flags().StringP("output", "o", "", "A file to write to; it gets its name when all is in it")
	return cmd
}

// exportTo writes a file that is there only if it is whole.
func exportTo(cmd *cobra.Command, path string, from io.Reader) error {
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = copyLines(cmd, f, from)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

func copyLines(cmd *cobra.Command, to io.Writer, from io.Reader) error {
	counted := newProgress(cmd.ErrOrStderr(), "exported", from)
	_, err := io.Copy(to, counted)
	counted.end()
	if err != nil {
		return fmt.Errorf("the export broke off, what came is not all: %w", err)
	}
	return nil
}

func importCommand() *cobra.Command {
	return command("import [file]", "Reads sessions that export wrote", `
Writes the sessions of a file, or of standard input, into a table. Where the
table knows something newer of a user, that is kept. It can be done again, and
while events come. A line that is wrong ends it.`,
		func(cmd *cobra.Command, args []string) error {
			from, closeFile, err := input(cmd, args)
			if err != nil {
				return err
			}
			defer closeFile()
			counted := newProgress(cmd.ErrOrStderr(), "sent", from)
			response, err := call(cmd, http.MethodPost, "import", counted)
			counted.end()
			if err != nil {
				return err
			}
			defer response.Body.Close()
			var result manage.ImportResult
			if err := json.NewDecoder(response.Body).Decode(&result); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "read %d, wrote %d; the others were known as new or newer\n", result.Read, result.Written)
			return err
		})
}

// input opens the file that is named, or standard input.
func input(cmd *cobra.Command, args []string) (from io.Reader, closeFile func(), err error) {
	if len(args) == 0 || args[0] == "-" {
		return cmd.InOrStdin(), func() {}, nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close() }, nil
}

// progress counts the lines that are read through it, and shows their number
// while they are.
type progress struct {
	io.Reader
	to    io.Writer
	verb  string
	lines int
	shown time.Time
	began time.Time
}

func newProgress(to io.Writer, verb string, from io.Reader) *progress {
	p := &progress{Reader: from, to: to, verb: verb, began: time.Now()}
	if !terminal.Is(to) {
		p.to = nil
	}
	return p
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	for _, c := range b[:n] {
		if c == '\n' {
			p.lines++
		}
	}
	const often = 200 * time.Millisecond
	if p.to != nil && time.Since(p.shown) > often {
		p.shown = time.Now()
		p.show("\r")
	}
	return n, err
}

func (p *progress) show(before string) {
	rate := float64(p.lines) / max(time.Since(p.began).Seconds(), 0.001)
	fmt.Fprintf(p.to, "%s%s %d sessions, %.0f a second", before, p.verb, p.lines, rate)
}

func (p *progress) end() {
	if p.to != nil {
		p.show("\r")
		fmt.Fprintln(p.to)
	}
}

func watchCommand() *cobra.Command {
	cmd := withJSON(withUser(command("watch", "Shows decisions as they are made", `
Shows what is decided about each message, as it is, until it is interrupted: all
of them, or those of a write key, an anonymousId or a userId. Colours are used
where there is a terminal, unless NO_COLOR is set.`,
		func(cmd *cobra.Command, _ []string) error {
			response, err := call(cmd, http.MethodGet, "decisions", nil)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			asJSON, _ := cmd.Flags().GetBool("json")
			out := cmd.OutOrStdout()
			colour := terminal.Is(out) && os.Getenv("NO_COLOR") == ""
			wanted := userOf(cmd)
			lines := bufio.NewScanner(response.Body)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				var d struct {
					caddymodule.Decided
					Missed int64 `json:"missed"`
				}
				if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
					return err
				}
				switch {
				case d.Missed > 0:
					fmt.Fprintf(cmd.ErrOrStderr(), "%d more, too fast to be shown\n", d.Missed)
				case !d.Concerns(wanted.WriteKey, wanted.AnonymousID, wanted.UserID):
				case asJSON:
					_, err = fmt.Fprintf(out, "%s\n", lines.Bytes())
				default:
					err = printDecided(out, &d.Decided, colour)
				}
				if err != nil {
					return err
				}
			}
			if err := lines.Err(); err != nil {
				return err
			}
			return errors.New("Caddy has closed the table")
		})))
	return cmd
}

// largestExplained is how large a body may be to fit into a question, in bytes.
const largestExplained = manage.MaxExplain / 2

func explainCommand() *cobra.Command {
	cmd := withSite(withJSON(command("explain [file]", "Says what would be done to a request", `
Reads the body of a request from a file or standard input, and says rule by rule
what would be done to each of its messages and why, with the sessions and the
options that the running Caddy has: those of each site that serves the write key,
or of --site. Nothing is changed.`,
		func(cmd *cobra.Command, args []string) error {
			flag := func(name string) string { return cmd.Flag(name).Value.String() }
			from, closeFile, err := input(cmd, args)
			if err != nil {
				return err
			}
			defer closeFile()
			question := manage.ExplainQuestion{WriteKey: flag("write-key"), Site: flag("site"), Endpoint: flag("endpoint")}
			if question.BodyBase64, err = io.ReadAll(io.LimitReader(from, largestExplained+1)); err != nil {
				return err
			}
			if len(question.BodyBase64) > largestExplained {
				return fmt.Errorf("the body is larger than %d bytes", largestExplained)
			}
			if text := flag("received"); text != "" {
				at, err := time.Parse(time.RFC3339, text)
				if err != nil {
					return fmt.Errorf("--received: %w", err)
				}
				question.Received = at.UnixMilli()
			}
			var explained []manage.Explanation
			if shown, err := callJSON(cmd, http.MethodPost, "explain", question, &explained); shown || err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			colour := terminal.Is(out) && os.Getenv("NO_COLOR") == ""
			number := 0
			for i := range explained {
				e := &explained[i]
				if number++; e.Site != "" && (i == 0 || e.Site != explained[i-1].Site) {
					fmt.Fprintf(out, "%s:\n", terminal.Safe(e.Site))
					number = 1
				}
				fmt.Fprintf(out, "%d. ", number)
				if err := printDecided(out, &e.Decided, colour); err != nil {
					return err
				}
				for _, rule := range e.Rules {
					fmt.Fprintf(out, "   - %s\n", terminal.Safe(rule))
				}
			}
			return nil
		})))
	cmd.Flags().String("write-key", "", "The write key that it would be sent with")
	cmd.Flags().String("endpoint", "batch", "The last part of the path that it would be sent to: batch, track, startSession, …")
	cmd.Flags().String("received", "", "When it would arrive, such as 2026-01-31T12:00:00Z; now, if it is not set")
	return cmd
}
