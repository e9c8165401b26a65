// Package inspector is the Caddy module of the page that shows what happened to a
// user's session.
package inspector

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/internal/manage"
	"github.com/rudder-session/rudder-session/enrich"
)

func init() {
	caddy.RegisterModule((*Handler)(nil))
	httpcaddyfile.RegisterHandlerDirective("rudder_session_inspector", func(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h := new(Handler)
		return h, h.UnmarshalCaddyfile(helper.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder("rudder_session_inspector", httpcaddyfile.Before, "respond")
}

// Handler is a page that answers what happened to a user's session: his
// timeline, the last decisions and why they were made, and how many there were
// in the last minutes. It changes nothing.
//
// Whoever can open it can look up every user: it must stand behind an
// authentication of your own, such as `basic_auth`.
type Handler struct {
	// The table to look into, by the name of its store: `file`, `redis` or
	// `memory`. It must be named, so that the page is nowhere by mistake.
	Table string `json:"table,omitempty"`

	table string
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.rudder_session_inspector",
		New: func() caddy.Module { return new(Handler) },
	}
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	rudder_session_inspector {
//	    table <name>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if _, err := caddymodule.UnmarshalBlock(d, "rudder_session_inspector", h.options()); err != nil {
		return err
	}
	if h.Table == "" {
		return d.Err("rudder_session_inspector: table is missing: which table is to be looked into?")
	}
	return nil
}

func (h *Handler) options() []caddymodule.Option {
	return []caddymodule.Option{
		caddymodule.ValueOption("table", (*caddymodule.Value)(&h.Table), parseTable, "", &h.table),
	}
}

func parseTable(name string) (string, error) {
	if _, err := caddy.GetModule("rudder_session.stores." + name); err != nil {
		return "", fmt.Errorf("%q is the name of no store in this build of Caddy", name)
	}
	return name, nil
}

// Provision checks the option, and that the table is that of the configuration.
func (h *Handler) Provision(ctx caddy.Context) error {
	if h.Table == "" {
		return errors.New("table is missing: which table is to be looked into?")
	}
	if err := caddymodule.ReadOptions(h.options()); err != nil {
		return err
	}
	app, err := ctx.App("rudder_session")
	if err != nil {
		return err
	}
	if has := app.(*caddymodule.App).TableName(); has != h.table {
		return fmt.Errorf("table: %q is not kept here, but %q", h.table, has)
	}
	return nil
}

const textUnavailable = "session state is unavailable"

//go:embed page
var pageFiles embed.FS

// ServeHTTP serves the page under whatever path it is put.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	directory, name := path.Split(r.URL.Path)
	if strings.HasSuffix(directory, "/api/") {
		return h.serveData(w, r, name)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		return refuse(w, http.StatusMethodNotAllowed, "only GET")
	}
	if name == "" {
		name = "index.html"
	}
	text, err := fs.ReadFile(pageFiles, "page/"+name)
	if err != nil {
		if !strings.Contains(name, ".") {
			// The page's own paths are relative to a directory. Earlier handlers may have
			// stripped a prefix, so the redirect is relative to the requested path.
			header.Set("Location", "./"+url.PathEscape(name)+"/")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return nil
		}
		return refuse(w, http.StatusNotFound, "there is no such page")
	}
	header.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	_, err = w.Write(text)
	return err
}

// serveData answers what the page asks.
func (h *Handler) serveData(w http.ResponseWriter, r *http.Request, name string) error {
	// Ids come in a body, not in a URL, which is logged. Browsers say which site's page
	// sends a request, so pages of other sites are refused.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return refuse(w, http.StatusForbidden, "only the page itself may ask")
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		w.Header().Set("Allow", http.MethodPost)
		return refuse(w, http.StatusMethodNotAllowed, "only POST of application/json")
	}
	t, err := caddymodule.EnterTable(h.table)
	if err != nil {
		return refuse(w, http.StatusServiceUnavailable, textUnavailable)
	}
	defer t.Leave()
	now := t.Now()
	switch name {
	case "session":
		var question manage.UserAt
		if err := manage.Read(w, r, manage.MaxQuestion, &question); err != nil {
			return refuse(w, http.StatusBadRequest, err.Error())
		}
		line, err := manage.Show(r.Context(), t, question)
		var storeErr *enrich.StoreError
		switch {
		case errors.As(err, &storeErr):
			return refuse(w, http.StatusServiceUnavailable, textUnavailable)
		case err != nil:
			return refuse(w, http.StatusBadRequest, err.Error())
		}
		return answerJSON(w, line)
	case "decisions":
		return answerJSON(w, t.Decisions(now))
	case "counts":
		return answerJSON(w, map[string]any{
			"now": now, "minutes": t.Counts(now),
			"table": manage.NewTableInfo(h.table, t.Sessions().Stats()),
		})
	}
	return refuse(w, http.StatusNotFound, "there is no such question")
}

// answerJSON answers with a value that JSON can have. Unlike the answers of control
// endpoints it has no CORS headers: no other origin may read it.
func answerJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// refuse answers with an error, without CORS headers either: they would let a page
// of any other origin, opened in a browser that has the password, read it.
func refuse(w http.ResponseWriter, status int, message string) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(struct {
		Error string `json:"error"`
	}{message})
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
