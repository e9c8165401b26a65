// Package adminapi serves the session tables of the process at Caddy's admin
// endpoint. It is a separate module: importing the package adds it to a build.
package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/internal/manage"
	"github.com/rudder-session/rudder-session/enrich"
)

func init() {
	caddy.RegisterModule(API{})
}

// API serves the session tables of the process at Caddy's admin endpoint,
// under /rudder_session/. It needs no configuration: whoever may change Caddy's
// configuration may use it.
type API struct{}

// CaddyModule returns the Caddy module information.
func (API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.rudder_session",
		New: func() caddy.Module { return new(API) },
	}
}

// Routes returns the routes.
func (a API) Routes() []caddy.AdminRoute {
	var routes []caddy.AdminRoute
	for _, of := range []struct {
		name, method string
		serve        func(http.ResponseWriter, *http.Request, caddymodule.OpenTable) error
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
		routes = append(routes, route(of.name, of.method, func(w http.ResponseWriter, r *http.Request) error {
			if err := checkParameters(r.URL.Query(), []string{"table"}); err != nil {
				return err
			}
			t, err := caddymodule.EnterTable(r.URL.Query().Get("table"))
			if err != nil {
				return withStatus(err)
			}
			defer t.Leave()
			return withStatus(of.serve(w, r, t))
		}))
	}
	return append(routes,
		route("tables", http.MethodGet, a.tables),
		route("decisions", http.MethodGet, a.decisions))
}

func route(name, method string, serve caddy.AdminHandlerFunc) caddy.AdminRoute {
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

// withStatus gives an error its status.
func withStatus(err error) error {
	var storeErr *enrich.StoreError
	var api caddy.APIError
	switch {
	case err == nil, errors.As(err, &api):
		return err
	case errors.As(err, &storeErr):
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	case errors.Is(err, caddymodule.ErrNoTable):
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	return badRequest(err)
}

func (API) tables(w http.ResponseWriter, r *http.Request) error {
	if err := checkParameters(r.URL.Query(), nil); err != nil {
		return err
	}
	return writeJSON(w, manage.Tables())
}

func (API) session(w http.ResponseWriter, r *http.Request, t caddymodule.OpenTable) error {
	var question manage.UserAt
	if err := manage.Read(w, r, manage.MaxQuestion, &question); err != nil {
		return err
	}
	line, err := manage.Show(r.Context(), t, question)
	if err != nil {
		return err
	}
	return writeJSON(w, line)
}

func (API) end(w http.ResponseWriter, r *http.Request, t caddymodule.OpenTable) error {
	var question manage.UserAt
	if err := manage.Read(w, r, manage.MaxQuestion, &question); err != nil {
		return err
	}
	result, err := manage.End(r.Context(), t, question)
	if err != nil {
		return err
	}
	return writeJSON(w, result)
}

func (API) forget(w http.ResponseWriter, r *http.Request, t caddymodule.OpenTable) error {
	var question manage.ForgetQuestion
	if err := manage.Read(w, r, manage.MaxQuestion, &question); err != nil {
		return err
	}
	done, err := manage.Forget(r.Context(), t, question)
	if err != nil {
		return err
	}
	return writeJSON(w, done)
}

func (API) counts(w http.ResponseWriter, _ *http.Request, t caddymodule.OpenTable) error {
	return writeJSON(w, t.Counts(time.Now().UnixMilli()))
}

func (API) explain(w http.ResponseWriter, r *http.Request, t caddymodule.OpenTable) error {
	var question manage.ExplainQuestion
	if err := manage.Read(w, r, manage.MaxExplain, &question); err != nil {
		return err
	}
	explained, err := manage.Explain(r.Context(), t, question)
	if err != nil {
		return err
	}
	return writeJSON(w, explained)
}

func writeJSON(w http.ResponseWriter, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(text, '\n'))
	return err
}

// Interface guard
var _ caddy.AdminRouter = API{}
