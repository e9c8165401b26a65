package admincli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/internal/manage"
	"github.com/rudder-session/rudder-session/caddymodule/internal/terminal"
)

func columns(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func clockTime(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000")
}

// printTimelines writes a timeline and those that it has with it, each with the
// sites that it is of.
func printTimelines(w io.Writer, line *manage.Timeline) error {
	if len(line.Also) == 0 {
		return printTimeline(w, line)
	}
	lines := append([]manage.Timeline{*line}, line.Also...)
	for i := range lines {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s:\n", scopeName(lines[i].Shared, lines[i].Sites))
		if err := printTimeline(w, &lines[i]); err != nil {
			return err
		}
	}
	return nil
}

// scopeName says in which sites' sessions something is.
func scopeName(shared bool, sites []string) string {
	kind := "sessions of this write key"
	if shared {
		kind = "shared sessions"
	}
	return kind + " (" + terminal.Safe(strings.Join(sites, ", ")) + ")"
}

func printEnded(w io.Writer, result *manage.EndResult) error {
	said := func(ended bool) string {
		if ended {
			return "ended"
		}
		return "there was no session"
	}
	if len(result.Of) == 0 {
		_, err := fmt.Fprintln(w, said(result.Ended))
		return err
	}
	for _, of := range result.Of {
		if _, err := fmt.Fprintf(w, "%s: %s\n", scopeName(of.Shared, of.Sites), said(of.Ended)); err != nil {
			return err
		}
	}
	return nil
}

func printTimeline(w io.Writer, line *manage.Timeline) error {
	if !line.Known {
		_, err := fmt.Fprintln(w, "nothing is known")
		return err
	}
	current := "none"
	if line.Current != nil {
		current = fmt.Sprint(*line.Current)
	}
	fmt.Fprintf(w, "current session: %s\nlast seen (UTC):  %s\n\n", current, clockTime(line.Seen))
	if line.Truncated {
		fmt.Fprintln(w, "older ones are not remembered")
	}
	if err := printSegments(w, line); err != nil {
		return err
	}
	return printLinks(w, line)
}

// printLinks writes the devices of a user, or the users of a device.
func printLinks(w io.Writer, line *manage.Timeline) error {
	if len(line.Links) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	out := columns(w)
	fmt.Fprintln(out, "FROM (UTC)\tDEVICE OR USER\tLAST")
	for i := range line.Links {
		l := &line.Links[i]
		name := cmp.Or(l.AnonymousID, l.UserID, l.AnonymousIDHex, l.UserIDHex, l.AnonymousIDSHA256, l.UserIDSHA256)
		fmt.Fprintf(out, "%s\t%s\t%s\n", clockTime(l.From), terminal.Safe(name), clockTime(l.Last))
	}
	return out.Flush()
}

func printSegments(w io.Writer, line *manage.Timeline) error {
	if len(line.Segments) == 0 {
		return nil
	}
	out := columns(w)
	fmt.Fprintln(out, "FROM (UTC)\tMODE\tSESSION\tBEGUN BY\tLAST\tSTART MARK")
	for _, s := range line.Segments {
		id, mark := "", ""
		if s.ID != 0 {
			id, mark = fmt.Sprint(s.ID), "not given yet"
			if s.Mark != "" {
				mark = "given"
			}
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", clockTime(s.From), s.Mode, id, s.Origin, clockTime(s.Last), mark)
	}
	return out.Flush()
}

// The colours of actions, as a terminal takes them.
var colours = map[string]string{
	"stamped": "\x1b[32m", "cleared": "\x1b[33m", "consumed": "\x1b[36m", "untouched": "\x1b[90m",
}

// printDecided writes a decision in one line.
func printDecided(w io.Writer, d *caddymodule.Decided, colour bool) error {
	action := fmt.Sprintf("%-9s", d.Action)
	if colour {
		action = colours[d.Action] + action + "\x1b[0m"
	}
	what := d.Type
	if d.Event != "" && d.Event != d.Type {
		what += " " + fmt.Sprintf("%q", terminal.Safe(d.Event))
	}
	id := d.AnonymousID
	switch {
	case id != "":
	case d.UserID != "":
		id = "user " + d.UserID
	default:
		id = "-"
	}
	var notes []string
	note := func(there bool, text string) {
		if there {
			notes = append(notes, text)
		}
	}
	note(d.SessionID != 0, fmt.Sprint(d.SessionID))
	note(d.Start && d.Again, "start, again")
	note(d.Start && !d.Again, "start")
	note(d.Began, "begins it")
	note(d.Ended && d.Type == "endSession", "ends it")
	note(d.Ended && d.Type != "endSession", "ends the one before")
	note(d.HadID != nil, "had "+string(d.HadID))
	note(d.Shadow, "shadow")
	if source := d.Source; source != "" {
		id = source + " " + id
	}
	_, err := fmt.Fprintf(w, "%s %s %-17s %s  %s  %s\n", d.Received.UTC().Format("15:04:05.000"), action, d.Reason,
		terminal.Safe(id), terminal.Safe(what), terminal.Safe(strings.Join(notes, ", ")))
	return err
}
