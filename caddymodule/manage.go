package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// who is a user, as the admin API and the inspector are asked about one.
type who struct {
	WriteKey    string `json:"write_key,omitempty"`
	AnonymousID string `json:"anonymous_id,omitempty"`
	UserID      string `json:"user_id,omitempty"`
}

var (
	errNoWriteKey = errors.New("write_key is required")
	errNoID       = errors.New("anonymous_id or user_id is required")
	errTwoIDs     = errors.New("anonymous_id and user_id: only one of them")
)

// whoAt is a user at one site, or at all of them if Site is "": options such as
// share_sessions, which say where a user's session is kept, differ from site to
// site.
type whoAt struct {
	who
	// Site is a host that the site serves or, where it serves all, the address on
	// which it listens.
	Site string `json:"site,omitempty"`
}

// scope is a place where the session of a user of one source is kept, with the
// handlers' sites that look there. A user has two where one site has share_sessions
// and another has not.
type scope struct {
	request *enrich.Request
	key     string
	sites   []site
}

// scopes returns the scopes of a user.
func (w whoAt) scopes(app *App, received int64) ([]scope, error) {
	switch {
	case w.WriteKey == "":
		return nil, errNoWriteKey
	case w.AnonymousID != "" && w.UserID != "":
		return nil, errTwoIDs
	}
	sites, err := app.sites(w.WriteKey, w.Site)
	if err != nil {
		return nil, err
	}
	var all []scope
	add := func(request *enrich.Request, of ...site) error {
		key := request.Key(w.AnonymousID, w.UserID)
		if key == "" {
			return errNoID
		}
		for i := range all {
			if all[i].key == key {
				all[i].sites = append(all[i].sites, of...)
				return nil
			}
		}
		all = append(all, scope{request, key, of})
		return nil
	}
	for _, s := range sites {
		if err := add(s.handler.requestAt(received, enrich.Track, w.WriteKey), s); err != nil {
			return nil, err
		}
	}
	if len(sites) == 0 {
		err = add(&enrich.Request{
			WriteKey: w.WriteKey, Received: received,
			Policy: &session.Policy{Timeout: defaultTimeout, Retention: app.settings.Retention},
		})
	}
	return all, err
}

// Timeline is what is known of a user's session at a moment.
type Timeline struct {
	Record
	// Known: there is something.
	Known bool `json:"known"`
	// Now is the moment, in Unix milliseconds, and Current the session then; null
	// for none.
	Now     int64  `json:"now"`
	Current *int64 `json:"current"`
	// Sites are those whose session it is, where other sites have another, and
	// Also is that: some share sessions, some do not.
	Sites []string   `json:"sites,omitempty"`
	Also  []Timeline `json:"also,omitempty"`
}

// show returns the timeline of a user. Of several the first has the others; it is
// one of which something is known, if there is any.
func (t *table) show(ctx context.Context, app *App, w whoAt) (Timeline, error) {
	now := t.now()
	scopes, err := w.scopes(app, now)
	if err != nil {
		return Timeline{}, err
	}
	lines := make([]Timeline, len(scopes))
	for i := range scopes {
		if lines[i], err = t.showScope(ctx, &scopes[i], w.who, now); err != nil {
			return Timeline{}, err
		}
		if len(scopes) > 1 {
			lines[i].Sites = siteList(scopes[i].sites)
		}
	}
	slices.SortStableFunc(lines, func(a, b Timeline) int {
		switch {
		case a.Known == b.Known:
			return 0
		case a.Known:
			return -1
		}
		return 1
	})
	lines[0].Also = lines[1:]
	return lines[0], nil
}

func (t *table) showScope(ctx context.Context, of *scope, w who, now int64) (Timeline, error) {
	s, err := t.sessions().Session(ctx, of.key)
	if err != nil {
		return Timeline{}, &enrich.StoreError{Err: err}
	}
	if s != nil && of.request.Policy.Expired(s, now) {
		s = nil
	}
	line := Timeline{Known: s != nil && len(s.Segments)+len(s.Links) > 0, Now: now}
	if line.Record, err = record(of.key, s); err != nil {
		return line, err
	}
	id, err := enrich.Current(ctx, t.sessions(), of.request, w.AnonymousID, w.UserID)
	if id != 0 {
		line.Current = &id
	}
	return line, err
}

// endResult says whether a session was ended.
type endResult struct {
	Ended bool `json:"ended"`
	// Of says of which, where sites differ in whether they share sessions.
	Of []endedScope `json:"of,omitempty"`
}

type endedScope struct {
	Shared bool     `json:"shared"`
	Sites  []string `json:"sites"`
	Ended  bool     `json:"ended"`
}

// end ends the session of a user now, as endSession does, wherever it is kept.
func (t *table) end(ctx context.Context, app *App, w whoAt) (result endResult, err error) {
	now := t.now()
	scopes, err := w.scopes(app, now)
	if err != nil {
		return result, err
	}
	for i := range scopes {
		ended, err := t.endScope(ctx, &scopes[i], now)
		if err != nil {
			if result.Ended {
				err = fmt.Errorf("one session was ended, but not the other: %w", err)
			}
			return result, &enrich.StoreError{Err: err}
		}
		result.Ended = result.Ended || ended
		if len(scopes) > 1 {
			result.Of = append(result.Of, endedScope{scopes[i].request.Share, siteList(scopes[i].sites), ended})
		}
	}
	return result, nil
}

func (t *table) endScope(ctx context.Context, of *scope, now int64) (ended bool, err error) {
	decisions := make([]session.Decision, 1)
	call := session.Request{Received: now, Policy: of.request.Policy, Events: []session.Event{{Kind: session.End}}}
	if err := t.sessions().Apply(ctx, of.key, &call, decisions); err != nil {
		return false, err
	}
	why := decisions[0].Because
	if why.Ended {
		metrics.ended.get(int(enrich.ByEnd)).Inc()
	}
	countControl("endSession", why.Reason.String(), 1)
	return why.Ended, nil
}

// forget removes all that is kept under an anonymousId or a userId: sessions
// under that id and, for a userId, those of the devices that were its user's;
// what others' sessions know of the devices that were removed; and decisions
// about them. A write key restricts it to one source. It returns how many
// sessions there were.
func (t *table) forget(ctx context.Context, w who) (n int, err error) {
	if w.AnonymousID != "" && w.UserID != "" {
		return 0, errTwoIDs
	}
	asked, err := enrich.ParseKey((&enrich.Request{}).Key(w.AnonymousID, w.UserID))
	if err != nil {
		return 0, errNoID
	}
	text, byUser, user := w.AnonymousID, false, session.UserID(0)
	if w.UserID != "" {
		text, byUser, user = w.UserID, true, enrich.User(w.UserID)
	}
	var keys []string
	ids := []enrich.ID{asked}
	type link struct{ key, to string }
	var links []link
	err = t.sessions().Each(ctx, func(key string, s *session.Session) error {
		id, err := enrich.ParseKey(key)
		if err != nil || w.WriteKey != "" && !id.OfSource(w.WriteKey) {
			return nil //nolint:nilerr // a key of another program is nobody's
		}
		switch {
		case id.Of(text, byUser), s.HasUser(user), byUser && enrich.LinkedTo(s, text, true):
			keys, ids = append(keys, key), append(ids, id)
			for i := range s.Links {
				if other, err := id.To(s.Links[i].Value); err == nil {
					links = append(links, link{other, id.Link()})
				}
			}
		case !byUser && enrich.LinkedTo(s, text, false):
			links = append(links, link{key, enrich.Anonymous(text, id.Shared).Link()})
		}
		return nil
	})
	if err != nil {
		return 0, &enrich.StoreError{Err: err}
	}
	for _, key := range keys {
		if err := t.sessions().Forget(ctx, key); err != nil {
			return n, &enrich.StoreError{Err: fmt.Errorf("%d of %d were forgotten: %w", n, len(keys), err)}
		}
		n++
	}
	for _, l := range links {
		if err := t.sessions().Unlink(ctx, l.key, l.to); err != nil {
			return n, &enrich.StoreError{Err: fmt.Errorf("the %d were forgotten, but not all links to them: %w", n, err)}
		}
	}
	t.activity.forget(ids)
	if err := t.sessions().EraseTraces(ctx); err != nil {
		return n, &enrich.StoreError{Err: fmt.Errorf("the %d were forgotten, but what is left of them in the file may not be overwritten: %w", n, err)}
	}
	return n, nil
}

// explanation is what would be done to a message, as JSON.
type explanation struct {
	// Site is whose handler would do so, where several serve the write key.
	Site string `json:"site,omitempty"`
	Decided
	Rules []string `json:"rules"`
}

var errNoHandler = errors.New("no rudder_session handler serves this write key")

// explain says what the handlers of a write key, or that of one site, would do to a
// body: first all that one of them would do.
func (t *table) explain(ctx context.Context, app *App, e enrich.Endpoint, writeKey, of string, received int64, body []byte) ([]explanation, error) {
	if writeKey == "" {
		return nil, errNoWriteKey
	}
	sites, err := app.sites(writeKey, of)
	switch {
	case err != nil:
		return nil, err
	case len(sites) == 0:
		return nil, errNoHandler
	}
	all := []explanation{}
	for _, s := range sites {
		request := s.handler.requestAt(received, e, writeKey)
		explained, err := enrich.Explain(ctx, t.sessions(), request, body)
		if err != nil {
			return nil, err
		}
		name := ""
		if len(sites) > 1 {
			name = s.String()
		}
		source := s.handler.source(writeKey).name
		for i := range explained {
			all = append(all, explanation{name, decided(request, source, &explained[i].Verdict), explained[i].Rules})
		}
	}
	return all, nil
}
