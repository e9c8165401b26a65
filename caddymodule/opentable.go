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

// TableName is the name by which people know the app's table: that of its store's
// module. Two tables can have one name for as long as a reload that moves the
// sessions to another place takes.
func (a *App) TableName() string { return tableName(a.store.Identity()) }

func tableName(identity string) string {
	name, _, _ := strings.Cut(identity, " ")
	return name
}

// EachTable calls fn with the figures of each table that is open. Two can have
// one name: see [App.TableName]. The function must not wait.
func EachTable(fn func(name string, stats sessionstate.Stats)) {
	sharedTables.Range(func(identity, value any) bool {
		if opened := value.(*sharedTable).opened.Load(); opened != nil {
			fn(tableName(identity.(string)), opened.Stats())
		}
		return true
	})
}

// OpenTable is a session table that stays open until Leave is called. It is what
// modules beside the handler use: they show sessions, and change them by hand.
type OpenTable struct {
	table *sharedTable
	app   *App
}

// ErrNoTable says that no table has a name, or that the name does not say which
// one is meant.
var ErrNoTable = errors.New("no such table")

// EnterTable finds an open table by its name; "" is enough where there is one
// only. The caller must call Leave when it is done with it, if there was no
// error.
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

// Leave lets the table be closed. The OpenTable must not be used after it.
func (t OpenTable) Leave() { t.app.leave() }

// Sessions returns the table's sessions.
func (t OpenTable) Sessions() *sessionstate.Table { return t.table.sessions() }

// Now returns the moment by the clock that the table goes by, in Unix milliseconds.
func (t OpenTable) Now() int64 { return t.table.now() }

// Sites returns the handlers that care for a write key, sorted by name: those of
// one site, or all if site is "". A site that has none is an error.
func (t OpenTable) Sites(writeKey, site string) ([]Site, error) { return t.app.sites(writeKey, site) }

// DefaultPolicy is the policy of a source that no handler serves.
func (t OpenTable) DefaultPolicy() *session.Policy {
	return &session.Policy{Timeout: defaultTimeout, Retention: t.app.settings.Retention}
}

// Counts returns what was counted in each of the last 60 minutes, oldest first.
// Minutes without requests are left out.
func (t OpenTable) Counts(now int64) []Counts { return t.table.activity.lately(now) }

// Decisions returns the last 1000 decisions at most, oldest first. They are kept
// only while somebody asks for them, at least every 5 minutes.
func (t OpenTable) Decisions(now int64) []Decided { return t.table.activity.recent(now) }

// Watch sends each decision from now on to a watcher, until stop is called or the
// table is closed. Watching does not keep the table open.
func (t OpenTable) Watch() (w *Watcher, stop func()) { return t.table.activity.watch() }

// ForgetDecisions removes the decisions about some ids from those that are kept.
func (t OpenTable) ForgetDecisions(ids []enrich.ID) { t.table.activity.forget(ids) }

// End ends the session under a key, as an endSession call at a moment does.
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
