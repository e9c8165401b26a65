package caddymodule

import (
	"context"
	"errors"
	"fmt"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
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

// request returns a request of a user of one source, and the session key of the
// user.
func (w who) request(app *App, received int64) (*enrich.Request, string, error) {
	switch {
	case w.WriteKey == "":
		return nil, "", errNoWriteKey
	case w.AnonymousID != "" && w.UserID != "":
		return nil, "", errTwoIDs
	}
	request := &enrich.Request{
		WriteKey: w.WriteKey, Received: received,
		Policy: &sessionstate.Policy{Timeout: defaultTimeout, Retention: app.settings.Retention},
	}
	if h := app.handler(w.WriteKey); h != nil {
		request = h.requestAt(received, enrich.Track, w.WriteKey)
	}
	key := request.Key(w.AnonymousID, w.UserID)
	if key == "" {
		return nil, "", errNoID
	}
	return request, key, nil
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
}

// show returns the timeline of a user.
func (t *table) show(ctx context.Context, app *App, w who) (Timeline, error) {
	now := t.now()
	request, key, err := w.request(app, now)
	if err != nil {
		return Timeline{}, err
	}
	s, err := t.sessions().Session(ctx, key)
	if err != nil {
		return Timeline{}, &enrich.StoreError{Err: err}
	}
	if s != nil && request.Policy.Expired(s, now) {
		s = nil
	}
	line := Timeline{Known: s != nil && len(s.Segments)+len(s.Links) > 0, Now: now}
	if line.Record, err = record(key, s); err != nil {
		return line, err
	}
	id, err := enrich.Current(ctx, t.sessions(), request, w.AnonymousID, w.UserID)
	if id != 0 {
		line.Current = &id
	}
	return line, err
}

// end ends the session of a user now, as endSession does, and reports whether
// there was one.
func (t *table) end(ctx context.Context, app *App, w who) (ended bool, err error) {
	now := t.now()
	request, key, err := w.request(app, now)
	if err != nil {
		return false, err
	}
	decisions := make([]sessionstate.Decision, 1)
	call := []sessionstate.Event{{Kind: sessionstate.End, Time: now}}
	if err := t.sessions().Apply(ctx, key, now, request.Policy, call, decisions); err != nil {
		return false, &enrich.StoreError{Err: err}
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
	text, byUser, user := w.AnonymousID, false, sessionstate.UserID(0)
	if w.UserID != "" {
		text, byUser, user = w.UserID, true, enrich.User(w.UserID)
	}
	var keys []string
	ids := []enrich.ID{asked}
	type link struct{ key, to string }
	var links []link
	err = t.sessions().Each(ctx, func(key string, s *sessionstate.Session) error {
		id, err := enrich.ParseKey(key)
		if err != nil || w.WriteKey != "" && !id.OfSource(w.WriteKey) {
			return nil //nolint:nilerr // a key of another program is nobody's
		}
		switch {
		case id.Of(text, byUser), s.HasUser(user), byUser && enrich.LinkedTo(s, text, true):
			keys, ids = append(keys, key), append(ids, id)
			for i := range s.Links {
				if other, err := id.To(s.Links[i].Of); err == nil {
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
	return n, nil
}

// explanation is what would be done to a message, as JSON.
type explanation struct {
	Decided
	Rules []string `json:"rules"`
}

var errNoHandler = errors.New("no rudder_session handler serves this write key")

// explain says what the handler of a write key would do to a body.
func (t *table) explain(ctx context.Context, app *App, e enrich.Endpoint, writeKey string, received int64, body []byte) ([]explanation, error) {
	h := app.handler(writeKey)
	switch {
	case writeKey == "":
		return nil, errNoWriteKey
	case h == nil:
		return nil, errNoHandler
	}
	request := h.requestAt(received, e, writeKey)
	explained, err := enrich.Explain(ctx, t.sessions(), request, body)
	if err != nil {
		return nil, err
	}
	all := make([]explanation, len(explained))
	for i := range explained {
		all[i] = explanation{decided(request, h.source(writeKey).name, &explained[i].Verdict), explained[i].Rules}
	}
	return all, nil
}
