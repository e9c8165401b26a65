// Package admincli adds the command `caddy rudder-session`, which looks into the
// sessions of a running Caddy through its admin endpoint.
package admincli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/rudder-session/rudder-session/caddymodule/internal/manage"
	"github.com/rudder-session/rudder-session/caddymodule/replay"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "rudder-session",
		Short: "Looks into the sessions of a running Caddy",
		Long: `
Looks into, and manages, the sessions of a running Caddy with the rudder_session
module, through its admin endpoint. Without --address the endpoint is that of
the configuration file given with --config, else Caddy's default.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.PersistentFlags().String("address", "", "The address of the admin endpoint")
			cmd.PersistentFlags().StringP("config", "c", "", "A configuration file to take the address from")
			cmd.PersistentFlags().StringP("adapter", "a", "", "The name of the adapter of that file")
			cmd.PersistentFlags().String("table", "", "The table, where there are several: file, redis or memory")
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) > 0 {
					return fmt.Errorf("unknown command %q", args[0])
				}
				return cmd.Help()
			}
			all := commands()
			cmd.AddCommand(all...)
			cmd.Use += "<" + strings.Join(names(all), "|") + ">"
		},
	})
}

// commands are the subcommands.
func commands() []*cobra.Command {
	return []*cobra.Command{
		tablesCommand(), showCommand(), endCommand(), forgetCommand(),
		exportCommand(), importCommand(), watchCommand(), explainCommand(), replay.Command(),
	}
}

func names(commands []*cobra.Command) (all []string) {
	for _, cmd := range commands {
		all = append(all, cmd.Name())
	}
	return all
}

// command makes a subcommand. Its errors go to standard error in one line. What
// it does not take is refused: a forgotten -o would write to the screen.
func command(use, short, long string, run func(cmd *cobra.Command, args []string) error) *cobra.Command {
	most := 0
	if strings.Contains(use, " [file]") {
		most = 1
	}
	cmd := &cobra.Command{Use: use, Short: short, Long: long, SilenceUsage: true}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > most {
			return fmt.Errorf("unexpected %q", args[most])
		}
		return nil
	}
	cmd.RunE = run
	return cmd
}

// call asks the admin endpoint. The caller must close the body.
func call(cmd *cobra.Command, method, route string, body io.Reader) (*http.Response, error) {
	flag := func(name string) string { return cmd.Flag(name).Value.String() }
	address, err := caddycmd.DetermineAdminAPIAddress(flag("address"), nil, flag("config"), flag("adapter"))
	if err != nil {
		return nil, err
	}
	uri := "/rudder_session/" + route
	if table := flag("table"); table != "" {
		uri += "?table=" + url.QueryEscape(table)
	}
	response, err := caddycmd.AdminAPIRequest(address, method, uri, nil, body)
	if err != nil {
		return nil, plainError(err, address)
	}
	return response, nil
}

// plainError takes the message out of an answer of the admin endpoint.
func plainError(err error, address string) error {
	text := err.Error()
	if _, answer, ok := strings.Cut(text, "caddy responded with error: HTTP "); ok {
		var message struct {
			Error string `json:"error"`
		}
		status, body, _ := strings.Cut(answer, ": ")
		if json.Unmarshal([]byte(body), &message) == nil && message.Error != "" {
			return errors.New(message.Error)
		}
		if status == "404" {
			return fmt.Errorf("the Caddy at %s has no rudder_session module", address)
		}
	}
	return fmt.Errorf("is Caddy running? %w", err)
}

// callJSON calls and decodes the answer, which --json prints as it is.
func callJSON(cmd *cobra.Command, method, route string, body, into any) (shown bool, err error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return false, err
		}
		reader = bytes.NewReader(text)
	}
	response, err := call(cmd, method, route, reader)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return false, err
	}
	if asJSON := cmd.Flag("json"); asJSON != nil && asJSON.Value.String() == "true" {
		_, err := cmd.OutOrStdout().Write(text)
		return true, err
	}
	return false, json.Unmarshal(text, into)
}

func withJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("json", false, "Print JSON, for other programs")
	return cmd
}

// withUser adds the flags that say who is meant.
func withUser(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("write-key", "", "The write key of the source")
	cmd.Flags().String("anonymous-id", "", "The user's anonymousId")
	cmd.Flags().String("user-id", "", "The user's userId")
	return cmd
}

func userOf(cmd *cobra.Command) manage.User {
	flag := func(name string) string { return cmd.Flag(name).Value.String() }
	return manage.User{WriteKey: flag("write-key"), AnonymousID: flag("anonymous-id"), UserID: flag("user-id")}
}

// withSite adds the flag that says which site's handler is meant.
func withSite(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("site", "", "A host that the site serves, or the address on which it listens; all sites, if it is not set")
	return cmd
}

func userAt(cmd *cobra.Command) manage.UserAt {
	return manage.UserAt{User: userOf(cmd), Site: cmd.Flag("site").Value.String()}
}

func tablesCommand() *cobra.Command {
	return withJSON(command("tables", "Lists the session tables", `
Lists the tables that are open, with how many sessions they have in memory, how
often one was found there, and how much of the store does not answer.`,
		func(cmd *cobra.Command, _ []string) error {
			var all []manage.TableInfo
			if shown, err := callJSON(cmd, http.MethodGet, "tables", nil, &all); shown || err != nil {
				return err
			}
			out := columns(cmd.OutOrStdout())
			fmt.Fprintln(out, "TABLE\tIN MEMORY\tCAPACITY\tHITS\tMISSES\tEVICTED\tTO BE WRITTEN\tDOWN")
			for _, t := range all {
				fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%.0f %%\n",
					t.Table, t.Sessions, t.Capacity, t.Hits, t.Misses, t.Evicted, t.Delayed, t.Down*100)
			}
			return out.Flush()
		}))
}

func showCommand() *cobra.Command {
	return withJSON(withSite(withUser(command("show", "Shows a user's timeline", `
Shows what is known of the sessions of one user of one source: --write-key, and
--anonymous-id or --user-id. Where some sites share sessions and others do not,
both timelines are shown, or that of --site.`,
		func(cmd *cobra.Command, _ []string) error {
			var line manage.Timeline
			if shown, err := callJSON(cmd, http.MethodPost, "session", userAt(cmd), &line); shown || err != nil {
				return err
			}
			return printTimelines(cmd.OutOrStdout(), &line)
		}))))
}

func endCommand() *cobra.Command {
	return withSite(withUser(command("end", "Ends a user's session", `
Ends the session of one user of one source now, as endSession does. Where some
sites share sessions and others do not, both are ended, or that of --site.`,
		func(cmd *cobra.Command, _ []string) error {
			var answer manage.EndResult
			if _, err := callJSON(cmd, http.MethodPost, "end", userAt(cmd), &answer); err != nil {
				return err
			}
			return printEnded(cmd.OutOrStdout(), &answer)
		})))
}

func forgetCommand() *cobra.Command {
	return with(withUser(command("forget", "Forgets all that is known of a user", `
Removes all sessions under an anonymousId or a userId from memory and store, and
from the memory of all Caddys that share the store: for all sources, or that of
--write-key. With --user-id those of the devices go too that were the user's.

Files that could not be read, and were set aside, may have the id in them. They are
named and, with --remove-set-aside, deleted.`,
		func(cmd *cobra.Command, _ []string) error {
			remove, err := cmd.Flags().GetBool("remove-set-aside")
			if err != nil {
				return err
			}
			question := manage.ForgetQuestion{User: userOf(cmd), RemoveSetAside: remove}
			var answer manage.Forgotten
			if _, err := callJSON(cmd, http.MethodPost, "forget", question, &answer); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "forgot %d\n", answer.Forgotten)
			for _, path := range answer.Removed {
				fmt.Fprintf(out, "removed %s\n", path)
			}
			for _, path := range answer.SetAside {
				fmt.Fprintf(out, "set aside, and not searched: %s\n", path)
			}
			return nil
		})), func(cmd *cobra.Command) {
		cmd.Flags().Bool("remove-set-aside", false, "Delete the files that were set aside as they could not be read")
	})
}

// with returns a command to which something was done.
func with(cmd *cobra.Command, do func(*cobra.Command)) *cobra.Command {
	do(cmd)
	return cmd
}
