package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// Admin serves the session tables of the process at Caddy's admin endpoint,
// under /rudder_session/. It needs no configuration: whoever may change Caddy's
// configuration may use it.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.rudder_session",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes returns the routes.
func (a Admin) Routes() []caddy.AdminRoute {
	var routes []caddy.AdminRoute
	for _, route := range []struct {
		name, method string
		serve        func(http.ResponseWriter, *http.Request, *table, *App) error
	}{
		// What names somebody comes in a body: Caddy logs the URIs of its admin
		// endpoint.
		{"session", http.MethodPost, a.session},
		{"explain", http.MethodPost, a.explain},
		{"end", http.MethodPost, a.end},
		{"forget", http.MethodPost, a.forget},
		{"export", http.MethodGet, a.export},
		{"import", http.MethodPost, a.importRecords},
		{"counts", http.MethodGet, a.counts},
	} {
		routes = append(routes, adminRoute(route.name, route.method, func(w http.ResponseWriter, r *http.Request) error {
			if err := checkParameters(r.URL.Query(), []string{"table"}); err != nil {
				return err
			}
			t, app, leave, err := enterTable(r.URL.Query().Get("table"))
			if err != nil {
				return adminError(err)
			}
			defer leave()
			return adminError(route.serve(w, r, t, app))
		}))
	}
	return append(routes,
		adminRoute("tables", http.MethodGet, a.tables),
		adminRoute("decisions", http.MethodGet, a.decisions))
}

func adminRoute(name, method string, serve caddy.AdminHandlerFunc) caddy.AdminRoute {
	return caddy.AdminRoute{
		Pattern: "/rudder_session/" + name,
		Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			if r.Method != method {
				w.Header().Set("Allow", method)
				return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("only %s", method)}
			}
			return serve(w, r)
		}),
	}
}

// checkParameters refuses what is not known.
func checkParameters(given url.Values, known []string) error {
	for name, values := range given {
		if !slices.Contains(known, name) {
			return badRequest(fmt.Errorf("unknown parameter %q", name))
		}
		if len(values) > 1 {
			return badRequest(fmt.Errorf("%s: stands twice", name))
		}
	}
	return nil
}

func badRequest(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

// adminError gives an error its status.
func adminError(err error) error {
	var storeErr *enrich.StoreError
	var api caddy.APIError
	switch {
	case err == nil, errors.As(err, &api):
		return err
	case errors.As(err, &storeErr):
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	case errors.Is(err, errNoTable):
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	return badRequest(err)
}

// TableInfo are the figures of a table.
type TableInfo struct {
	Table    string  `json:"table"`
	Sessions int     `json:"sessions"`
	Capacity int     `json:"capacity"`
	Hits     uint64  `json:"cache_hits"`
	Misses   uint64  `json:"cache_misses"`
	Evicted  uint64  `json:"cache_evictions"`
	Delayed  int     `json:"delayed_writes"`
	Down     float64 `json:"store_down"`
}

func (Admin) tables(w http.ResponseWriter, r *http.Request) error {
	if err := checkParameters(r.URL.Query(), nil); err != nil {
		return err
	}
	all := []TableInfo{}
	eachTable(func(name string, _ *table, opened *sessionstate.Table) {
		s := opened.Stats()
		all = append(all, TableInfo{name, s.Sessions, s.Capacity, s.Hits, s.Misses, s.Evictions, s.Delayed, s.Down})
	})
	slices.SortFunc(all, func(a, b TableInfo) int { return strings.Compare(a.Table, b.Table) })
	return writeAdmin(w, all)
}

func (Admin) session(w http.ResponseWriter, r *http.Request, t *table, app *App) error {
	var asked whoAt
	if err := readAdmin(w, r, smallBody, &asked); err != nil {
		return err
	}
	line, err := t.show(r.Context(), app, asked)
	if err != nil {
		return err
	}
	return writeAdmin(w, line)
}

func (Admin) end(w http.ResponseWriter, r *http.Request, t *table, app *App) error {
	var asked whoAt
	if err := readAdmin(w, r, smallBody, &asked); err != nil {
		return err
	}
	result, err := t.end(r.Context(), app, asked)
	if err != nil {
		return err
	}
	return writeAdmin(w, result)
}

func (Admin) forget(w http.ResponseWriter, r *http.Request, t *table, _ *App) error {
	var asked struct {
		who
		// RemoveSetAside: the files that were set aside are to be deleted.
		RemoveSetAside bool `json:"remove_set_aside,omitempty"`
	}
	if err := readAdmin(w, r, smallBody, &asked); err != nil {
		return err
	}
	n, err := t.forget(r.Context(), asked.who)
	if err != nil {
		return err
	}
	done := Forgotten{Forgotten: n}
	if asked.RemoveSetAside {
		if done.Removed, err = t.sessions().RemoveSetAside(); err != nil {
			return &enrich.StoreError{Err: fmt.Errorf("the %d were forgotten, but not all files that were set aside are removed: %w", n, err)}
		}
	}
	if done.SetAside, err = t.sessions().SetAside(); err != nil {
		return &enrich.StoreError{Err: err}
	}
	return writeAdmin(w, done)
}

// Forgotten is what came of forgetting somebody.
type Forgotten struct {
	// Forgotten is how many sessions there were.
	Forgotten int `json:"forgotten"`
	// SetAside are files that could not be read when they were opened, and were set
	// aside: they may have ids in them. Removed are those of them that were deleted.
	SetAside []string `json:"set_aside,omitempty"`
	Removed  []string `json:"removed,omitempty"`
}

func (Admin) counts(w http.ResponseWriter, _ *http.Request, t *table, _ *App) error {
	return writeAdmin(w, t.activity.lately(time.Now().UnixMilli()))
}

// question is a request to be explained.
type question struct {
	WriteKey string `json:"write_key"`
	// Site is whose handler is asked; "" is all that serve the write key.
	Site string `json:"site,omitempty"`
	// Endpoint is the last part of the path that it would be sent to.
	Endpoint string `json:"endpoint"`
	// Received is when it would arrive, in Unix milliseconds; 0 is now.
	Received int64 `json:"received,omitempty"`
	// Body is its body; BodyBase64 is it where that is no JSON, or its very bytes
	// matter.
	Body       json.RawMessage `json:"body,omitempty"`
	BodyBase64 []byte          `json:"body_base64,omitempty"`
}

func (Admin) explain(w http.ResponseWriter, r *http.Request, t *table, app *App) error {
	var asked question
	if err := readAdmin(w, r, largeBody, &asked); err != nil {
		return err
	}
	endpoint, err := enrich.ParseEndpoint(asked.Endpoint)
	if err != nil {
		return err
	}
	if asked.Received == 0 {
		asked.Received = t.now()
	}
	body := asked.BodyBase64
	if asked.Body != nil {
		if body != nil {
			return errors.New("body and body_base64: only one of them")
		}
		body = asked.Body
	}
	explained, err := t.explain(r.Context(), app, endpoint, asked.WriteKey, asked.Site, asked.Received, body)
	if err != nil {
		return err
	}
	return writeAdmin(w, explained)
}

// How large a body may be, in bytes, that says who is meant, and one that has
// the body of a request in it.
const (
	smallBody = 64 << 10
	largeBody = 16 << 20
)

func readAdmin(w http.ResponseWriter, r *http.Request, max int64, into any) error {
	switch err := decodeOne(http.MaxBytesReader(w, r.Body, max), into); {
	case errors.Is(err, errMoreJSON):
		return errors.New("the body must be one JSON object")
	case err != nil:
		return fmt.Errorf("the body must be a JSON object: %w", err)
	}
	return nil
}

var errMoreJSON = errors.New("more than one JSON value")

// decodeOne reads one JSON value, behind which there is nothing, not even a bracket
// too many. Members that are not known are refused: one that is misspelt would be
// left out, and forget would forget more than was meant.
func decodeOne(from io.Reader, into any) error {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errMoreJSON
	}
	return nil
}

func writeAdmin(w http.ResponseWriter, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(text, '\n'))
	return err
}

// Interface guard
var _ caddy.AdminRouter = Admin{}
