package redis

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
)

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store redis <url>... {
//	    sentinel          <master>
//	    sentinel_username <user>
//	    sentinel_password <password>
//	    username          <user>
//	    password          <password>
//	    tls {
//	        ca          <file>
//	        certificate <file>
//	        key         <file>
//	        server_name <name>
//	        insecure_skip_verify
//	    }
//	    prefix      <text>
//	    timeout     <duration>
//	    consistency eventual|strict
//	    max_sessions <sessions>|off
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if s.URLs = d.RemainingArgs(); len(s.URLs) == 0 {
		return d.Err("store redis: a URL is missing")
	}
	if err := s.checkURLs(d); err != nil {
		return err
	}
	_, err := caddymodule.UnmarshalBlock(d, "store redis", s.options())
	return err
}

// checkURLs checks URLs without placeholders at once, because errors here have the
// line number.
func (s *Store) checkURLs(d *caddyfile.Dispenser) error {
	for _, text := range s.URLs {
		if text == "" {
			return d.Err("store redis: an empty value")
		}
		if strings.Contains(text, "{") {
			return nil
		}
	}
	if err := (redisstore.Options{URLs: s.URLs, Prefix: defaultPrefix}).Check(); err != nil {
		return d.Errf("store redis: %v", err)
	}
	return nil
}

func (s *Store) unmarshalTLS(d *caddyfile.Dispenser) error {
	if s.TLS != nil {
		return d.Err("tls: stands twice")
	}
	s.TLS = new(TLS)
	_, err := caddymodule.UnmarshalBlock(d, "tls", s.TLS.options())
	return err
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Store)(nil)
