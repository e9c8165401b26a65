package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// TableName is the name of the app's table for people: that of its store's module.
// Two tables can have the same name during a reload that changes where the sessions
// are kept.
func (a *App) TableName() string { return tableName(a.store.Identity()) }

func tableName(identity string) string {
	name, _, _ := strings.Cut(identity, " ")
	return name
}

// EachTable calls fn with the statistics of each open table. Two can have the same
// name: see [App.TableName]. fn must not block.
func EachTable(fn func(name string, stats sessionstate.Stats)) {
	sharedTables.Range(func(identity, value any) bool {
		if opened := value.(*sharedTable).opened.Load(); opened != nil {
			fn(tableName(identity.(string)), opened.Stats())
		}
		return true
	})
}

// OpenTable is a session table that stays open until Leave is called. The admin API
// and the inspector use it to show sessions and to change them.
type OpenTable struct {
	table *sharedTable
	app   *App
}

// ErrNoTable means that no table has the name, or that more than one has.
var ErrNoTable = errors.New("no such table")

// EnterTable finds an open table by its name; "" is enough if there is only one.
// Unless it returns an error, the caller must call Leave when it is done.
func EnterTable(name string) (OpenTable, error) {
	type candidate struct {
		name string
		app  *App
	}
	var found []candidate
	names := []string{}
	sharedTables.Range(func(identity, value any) bool {
		c := candidate{name: tableName(identity.(string)), app: value.(*sharedTable).anyApp()}
		if c.app != nil {
			names = append(names, c.name)
			if name == "" || name == c.name {
				found = append(found, c)
			}
		}
		return true
	})
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return OpenTable{}, fmt.Errorf("%w: none is open", ErrNoTable)
	case len(found) == 0:
		return OpenTable{}, fmt.Errorf("%w: %q; there are: %s", ErrNoTable, name, strings.Join(names, ", "))
	case name == "" && len(found) > 1:
		return OpenTable{}, fmt.Errorf("%w: which of %s?", ErrNoTable, strings.Join(names, ", "))
	}
	app := found[0].app
	t, err := app.enter()
	if err != nil {
		return OpenTable{}, err
	}
	return OpenTable{t, app}, nil
}

// Leave allows the table to be closed. The OpenTable must not be used afterwards.
func (t OpenTable) Leave() { t.app.leave() }

// Sessions returns the table's sessions.
func (t OpenTable) Sessions() *sessionstate.Table { return t.table.sessions() }

// Now returns the time by the table's clock, in Unix milliseconds.
func (t OpenTable) Now() int64 { return t.table.now() }

// Sites returns the handlers that serve a write key, sorted by name: those of one
// site, or all if site is "". A site without such a handler is an error.
func (t OpenTable) Sites(writeKey, site string) ([]Site, error) { return t.app.sites(writeKey, site) }

// DefaultPolicy is the policy of a source that no handler serves.
func (t OpenTable) DefaultPolicy() *session.Policy {
	return &session.Policy{Timeout: defaultTimeout, Retention: t.app.settings.Retention}
}

// Counts returns the counts of each of the last 60 minutes, oldest first, without
// minutes that had no requests.
func (t OpenTable) Counts(now int64) []Counts { return t.table.activity.recentCounts(now) }

// Decisions returns at most the last 1000 decisions, oldest first. They are kept only
// while somebody asks for them at least every 5 minutes.
func (t OpenTable) Decisions(now int64) []Decided { return t.table.activity.recentDecisions(now) }

// Watch sends each decision from now on to a watcher, until stop is called or the
// table is closed. Watching does not keep the table open.
func (t OpenTable) Watch() (w *Watcher, stop func()) { return t.table.activity.watch() }

// ForgetDecisions removes the kept decisions about these ids.
func (t OpenTable) ForgetDecisions(ids []enrich.ID) { t.table.activity.forget(ids) }

// End ends the session of a key, as an endSession call received at that time does.
func (t OpenTable) End(ctx context.Context, key string, policy *session.Policy, now int64) (ended bool, err error) {
	decisions := make([]session.Decision, 1)
	call := session.Request{Received: now, Policy: policy, Events: []session.Event{{Kind: session.End}}}
	if err := t.Sessions().Apply(ctx, key, &call, decisions); err != nil {
		return false, err
	}
	why := decisions[0].Because
	if why.Ended {
		metrics.ended.get(int(enrich.ByEnd)).Inc()
	}
	countControl("endSession", why.Reason.String(), 1)
	return why.Ended, nil
}
