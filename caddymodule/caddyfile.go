package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("rudder_session", parseHandler)
	// Behind whatever may bound, allow or rewrite a request, and before the
	// directives that hand it on: handle, route, reverse_proxy.
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
	if d.NextArg() {
		return d.Errf("rudder_session: unexpected %q", d.Val())
	}
	for d.NextBlock(0) {
		switch name := d.Val(); name {
		case "store":
			if a.StoreRaw != nil {
				return d.Err("store: stands twice")
			}
			if err := a.unmarshalStore(d); err != nil {
				return err
			}
		case "capacity":
			if err := Option(d, name, &a.Capacity, parseCapacity); err != nil {
				return err
			}
		case "retention":
			if err := Option(d, name, &a.Retention, ParseDuration); err != nil {
				return err
			}
		default:
			return d.Errf("rudder_session: unknown option %q", name)
		}
	}
	return nil
}

// storeHints say of stores that a build has to ask for how that is done.
var storeHints = map[string]string{
	"redis": ": build it --with github.com/rudder-session/rudder-session/caddymodule/stores/redis",
}

func (a *App) unmarshalStore(d *caddyfile.Dispenser) error {
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
	if d.NextArg() {
		return d.Errf("rudder_session: unexpected %q", d.Val())
	}
	var own Source
	for d.NextBlock(0) {
		name := d.Val()
		known, err := own.unmarshalOption(d, name)
		if !known {
			known, err = h.unmarshalOption(d, name)
		}
		if !known {
			err = d.Errf("rudder_session: unknown option %q", name)
		}
		if err != nil {
			return err
		}
	}
	h.Automatic, h.Timeout, h.Cutoff = own.Automatic, own.Timeout, own.Cutoff
	return nil
}

func (h *Handler) unmarshalOption(d *caddyfile.Dispenser, name string) (known bool, err error) {
	switch name {
	case "identify_reset":
		return true, Option(d, name, &h.IdentifyReset, parseIdentifyReset)
	case "manual_timeout":
		return true, Option(d, name, &h.ManualTimeout, parseBound)
	case "max_body":
		return true, Option(d, name, &h.MaxBody, parseMaxBody)
	case "on_store_error":
		return true, Option(d, name, &h.OnStoreError, parseOnStoreError)
	case "max_session_starts":
		return true, Option(d, name, &h.MaxSessionStarts, parseMaxStarts)
	case "finish_timeout":
		return true, Option(d, name, &h.FinishTimeout, ParseDuration)
	case "prefix":
		return true, Option(d, name, &h.Prefix, parsePrefix)
	case "control_events":
		err := List(d, name, &h.ControlEvents)
		if err == nil && len(h.ControlEvents) != 3 {
			err = d.Errf("%s: three names are needed, to start, end and reset, not %d", name, len(h.ControlEvents))
		}
		return true, err
	case "write_keys":
		return true, List(d, name, &h.WriteKeys)
	case "source":
		return true, h.unmarshalSource(d)
	case "shadow":
		return true, flag(d, name, &h.Shadow)
	case "share_sessions":
		return true, flag(d, name, &h.ShareSessions)
	case "follow_user":
		return true, flag(d, name, &h.FollowUser)
	case "keep_encoding":
		return true, flag(d, name, &h.KeepEncoding)
	}
	return false, nil
}

// flag reads an option without a value.
func flag(d *caddyfile.Dispenser, name string, to *bool) error {
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
	if d.NextArg() {
		return d.Errf("source: unexpected %q", d.Val())
	}
	var source Source
	empty := true
	for nesting := d.Nesting(); d.NextBlock(nesting); empty = false {
		name := d.Val()
		known, err := source.unmarshalOption(d, name)
		if !known && name == "name" {
			known, err = true, Option(d, name, &source.Name, parseName)
		}
		if !known {
			err = d.Errf("source: unknown option %q", name)
		}
		if err != nil {
			return err
		}
	}
	if empty {
		return d.Errf("source: nothing is said about %q", key)
	}
	if h.Sources == nil {
		h.Sources = map[string]Source{}
	}
	h.Sources[key] = source
	return nil
}

func (s *Source) unmarshalOption(d *caddyfile.Dispenser, name string) (known bool, err error) {
	switch name {
	case "automatic":
		if err := first(d, name, &s.Automatic, parseAutomatic); err != nil {
			return true, err
		}
		if !d.NextArg() {
			return true, nil
		}
		d.Prev()
		return true, Option(d, "timeout", &s.Timeout, ParseDuration)
	case "timeout":
		return true, Option(d, name, &s.Timeout, ParseDuration)
	case "cutoff":
		return true, Option(d, name, &s.Cutoff, parseBound)
	}
	return false, nil
}

// Option reads an option with one value from a Caddyfile. What has no
// placeholders is parsed too, so that errors have the line.
func Option[T any](d *caddyfile.Dispenser, name string, to *Value, parse func(string) (T, error)) error {
	if err := first(d, name, to, parse); err != nil {
		return err
	}
	if d.NextArg() {
		return d.Errf("%s: unexpected %q", name, d.Val())
	}
	return nil
}

// first reads the first value of an option. What has no placeholders is
// checked here, where the line is known.
func first[T any](d *caddyfile.Dispenser, name string, to *Value, parse func(string) (T, error)) error {
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
