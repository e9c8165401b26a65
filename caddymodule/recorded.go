package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/rudder-session/rudder-session/enrich"
)

// SiteConfig is the configuration of a handler and of its app, without a server: to
// decide about recorded requests as the handler would. The zero value has the
// defaults.
type SiteConfig struct {
	handler Handler
	app     App
	names   []string
}

// With returns the configuration with some options instead of its own: lines of a
// `rudder_session` block of a Caddyfile. The rest stays as it is.
func (c *SiteConfig) With(options string) (*SiteConfig, error) {
	tokens, err := caddyfile.Tokenize([]byte("rudder_session {\n"+options+"\n}\n"), "options")
	if err != nil {
		return nil, err
	}
	d := caddyfile.NewDispenser(tokens)
	var given Handler
	if err := given.UnmarshalCaddyfile(d); err != nil {
		return nil, plainOptionError(err)
	}
	if d.Next() {
		return nil, fmt.Errorf("unexpected %q", d.Val())
	}
	text, err := json.Marshal(&given) // what is not given is left out
	if err != nil {
		return nil, err
	}
	with := &SiteConfig{app: App{Retention: c.app.Retention}, names: c.names}
	before, err := json.Marshal(&c.handler)
	if err != nil {
		return nil, err
	}
	return with, errors.Join(json.Unmarshal(before, &with.handler), json.Unmarshal(text, &with.handler))
}

// plainOptionError leaves out the place in a Caddyfile, which there is none of.
func plainOptionError(err error) error {
	text, _, _ := strings.Cut(err.Error(), ", at options:")
	return errors.New(text)
}

// SetRetention sets the option `retention` of the app.
func (c *SiteConfig) SetRetention(value string) { c.app.Retention = Value(value) }

// Site reads the options. Errors name the option.
func (c *SiteConfig) Site() (Site, error) {
	h, app := &c.handler, &c.app
	if err := app.readOptions(); err != nil {
		return Site{}, err
	}
	h.app = app
	return Site{h, c.names}, h.readOptions()
}

// Listed reports whether the site's handler is to care for a write key.
func (s Site) Listed(writeKey string) bool { return s.handler.listed(writeKey) }

// Endpoint returns what a POST request with this path, without a query, is for, and
// whether its write key is in the query only.
func (s Site) Endpoint(path string) (e enrich.Endpoint, beacon, known bool) {
	t, known := s.handler.post(path)
	return t.endpoint, t.beacon, known
}

// Refused reports whether an answer with this status refuses events for good, so that
// the start marks in them are free again.
func Refused(status int) bool { return refused(status) }

// ReadSite finds a `rudder_session` handler in a configuration in JSON: the first of
// the site that is wanted, by a host that it serves or the address on which its server
// listens, or the first of all if wanted is "".
func ReadSite(config []byte, wanted string) (*SiteConfig, error) {
	var c struct {
		Apps struct {
			HTTP struct {
				Servers map[string]recordedServer `json:"servers"`
			} `json:"http"`
			Sessions json.RawMessage `json:"rudder_session"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, err
	}
	f := siteFinder{wanted: wanted}
	f.servers(c.Apps.HTTP.Servers)
	if f.found == nil {
		return nil, f.missing()
	}
	found := &SiteConfig{names: f.names}
	if err := caddy.StrictUnmarshalJSON(f.found, &found.handler); err != nil {
		return nil, fmt.Errorf("rudder_session: %w", err)
	}
	if c.Apps.Sessions != nil {
		if err := caddy.StrictUnmarshalJSON(c.Apps.Sessions, &found.app); err != nil {
			return nil, fmt.Errorf("the app rudder_session: %w", err)
		}
	}
	return found, nil
}
