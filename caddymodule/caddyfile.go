package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/rudder-session/rudder-session/sessionstate/session"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("rudder_session", parseHandler)
	// After the directives that may limit, allow or rewrite a request, and before
	// those that forward it: handle, route, reverse_proxy.
	httpcaddyfile.RegisterDirectiveOrder("rudder_session", httpcaddyfile.After, "request_header")
	httpcaddyfile.RegisterGlobalOption("rudder_session", parseApp)
}

func parseHandler(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if existing != nil {
		d.Next()
		return nil, d.Err("rudder_session: the global option stands twice")
	}
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "rudder_session", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from the global option. Syntax:
//
//	rudder_session {
//	    store     <module> ...
//	    capacity  <sessions>
//	    retention <duration>
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	_, err := UnmarshalBlock(d, "rudder_session", a.options())
	return err
}

// storeHints tell how to add a store that is not in the standard build.
var storeHints = map[string]string{
	"redis": ": build it --with github.com/rudder-session/rudder-session/caddymodule/stores/redis",
}

func (a *App) unmarshalStore(d *caddyfile.Dispenser) error {
	if a.StoreRaw != nil {
		return d.Err("store: stands twice")
	}
	if !d.NextArg() {
		return d.Err("store: which one?")
	}
	name := d.Val()
	id := "rudder_session.stores." + name
	if _, err := caddy.GetModule(id); err != nil {
		return d.Errf("store: %q is not in this build of Caddy%s", name, storeHints[name])
	}
	store, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return err
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(store, "module", name, nil)
	return nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Every line is
// optional. Syntax:
//
//	rudder_session {
//	    automatic      sdk|adopt|proxy|off [<timeout>]
//	    timeout        <duration>
//	    cutoff         <duration>|off
//	    manual_timeout <duration>|off
//	    identify_reset web|always|never
//	    control_events <start> <end> <reset>
//	    write_keys     <key>...
//	    max_body       <size>
//	    on_store_error pass|reject
//	    max_session_starts <sessions>|off
//	    finish_timeout <duration>
//	    prefix         <path>
//	    source <write_key> {
//	        automatic sdk|adopt|proxy|off [<timeout>]
//	        timeout   <duration>
//	        cutoff    <duration>|off
//	        name      <name>
//	    }
//	    share_sessions
//	    follow_user
//	    keep_encoding
//	    shadow
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	_, err := UnmarshalBlock(d, "rudder_session", h.options())
	return err
}

func (h *Handler) unmarshalControlEvents(d *caddyfile.Dispenser) error {
	err := List(d, "control_events", &h.ControlEvents)
	if err == nil && len(h.ControlEvents) != 3 {
		err = d.Errf("control_events: three names are needed, to start, end and reset, not %d", len(h.ControlEvents))
	}
	return err
}

func unmarshalFlag(d *caddyfile.Dispenser, name string, to *bool) error {
	if *to {
		return d.Errf("%s: stands twice", name)
	}
	if d.NextArg() {
		return d.Errf("%s: unexpected %q", name, d.Val())
	}
	*to = true
	return nil
}

func (h *Handler) unmarshalSource(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("source: the write key is missing")
	}
	key := d.Val()
	if key == "" {
		return d.Err("source: the write key is empty")
	}
	if _, twice := h.Sources[key]; twice {
		return d.Errf("source: %q stands twice", key)
	}
	var given Source
	count, err := UnmarshalBlock(d, "source", given.options(new(session.Policy), new(string)))
	if err != nil {
		return err
	}
	if count == 0 {
		return d.Errf("source: nothing is said about %q", key)
	}
	if h.Sources == nil {
		h.Sources = map[string]Source{}
	}
	h.Sources[key] = given
	return nil
}

// unmarshalAutomatic reads the mode and, if it is there, the timeout.
func unmarshalAutomatic(d *caddyfile.Dispenser, automatic, timeout *Value) error {
	if err := unmarshalFirst(d, "automatic", automatic, parseAutomatic); err != nil {
		return err
	}
	if !d.NextArg() {
		return nil
	}
	d.Prev()
	return unmarshalValue(d, "timeout", timeout, parseMilliseconds)
}

// unmarshalValue reads an option with one value.
func unmarshalValue[T any](d *caddyfile.Dispenser, name string, to *Value, parse func(string) (T, error)) error {
	if err := unmarshalFirst(d, name, to, parse); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("%s: unexpected %q", name, d.Val())
	}
	return nil
}

// unmarshalFirst reads the first value of an option. A value without placeholders
// is checked at once, because errors here have the line number.
func unmarshalFirst[T any](d *caddyfile.Dispenser, name string, to *Value, parse func(string) (T, error)) error {
	if *to != "" {
		return d.Errf("%s: stands twice", name)
	}
	if !d.NextArg() {
		return d.Errf("%s: a value is missing", name)
	}
	*to = Value(d.Val())
	if strings.Contains(d.Val(), "{") {
		return nil
	}
	if _, err := parse(d.Val()); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	return nil
}

// List reads an option with one or more values, all different.
func List(d *caddyfile.Dispenser, name string, to *[]string) error {
	if *to != nil {
		return d.Errf("%s: stands twice", name)
	}
	*to = d.RemainingArgs()
	if len(*to) == 0 {
		return d.Errf("%s: a value is missing", name)
	}
	seen := map[string]bool{}
	for _, v := range *to {
		if v == "" {
			return d.Errf("%s: an empty value", name)
		}
		if seen[v] {
			return d.Errf("%s: %q stands twice", name, v)
		}
		seen[v] = true
	}
	return nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
