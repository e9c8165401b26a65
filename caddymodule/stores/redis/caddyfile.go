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
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := s.unmarshalOption(d, d.Val()); err != nil {
			return err
		}
	}
	return nil
}

// checkURLs checks what has no placeholders where the line is known.
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

func (s *Store) unmarshalOption(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "sentinel":
		return caddymodule.Option(d, name, &s.Sentinel, parseText)
	case "sentinel_username":
		return caddymodule.Option(d, name, &s.SentinelUsername, parseText)
	case "sentinel_password":
		return caddymodule.Option(d, name, &s.SentinelPassword, parseText)
	case "username":
		return caddymodule.Option(d, name, &s.Username, parseText)
	case "password":
		return caddymodule.Option(d, name, &s.Password, parseText)
	case "prefix":
		return caddymodule.Option(d, name, &s.Prefix, parseText)
	case "timeout":
		return caddymodule.Option(d, name, &s.Timeout, caddymodule.ParseDuration)
	case "consistency":
		return caddymodule.Option(d, name, &s.Consistency, parseConsistency)
	case "max_sessions":
		return caddymodule.Option(d, name, &s.MaxSessions, parseMaxSessions)
	case "tls":
		if s.TLS != nil {
			return d.Err("tls: stands twice")
		}
		s.TLS = new(TLS)
		return s.TLS.unmarshal(d)
	}
	return d.Errf("store redis: unknown option %q", name)
}

func (t *TLS) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Errf("tls: unexpected %q", d.Val())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch name := d.Val(); name {
		case "ca":
			err = caddymodule.Option(d, name, &t.CA, parseText)
		case "certificate":
			err = caddymodule.Option(d, name, &t.Certificate, parseText)
		case "key":
			err = caddymodule.Option(d, name, &t.Key, parseText)
		case "server_name":
			err = caddymodule.Option(d, name, &t.ServerName, parseText)
		case "insecure_skip_verify":
			if t.InsecureSkipVerify {
				return d.Errf("%s: stands twice", name)
			}
			if d.NextArg() {
				return d.Errf("%s: unexpected %q", name, d.Val())
			}
			t.InsecureSkipVerify = true
		default:
			err = d.Errf("tls: unknown option %q", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Store)(nil)
