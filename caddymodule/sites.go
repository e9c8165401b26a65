package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/rudder-session/rudder-session/enrich"
)

// Site is a handler and its position in the configuration.
type Site struct {
	handler *Handler
	// names are the hosts that the handler serves or, if it serves all, the addresses
	// on which its server listens. A handler inside a module that is not one of Caddy's
	// own has none.
	names []string
}

// String names the site by its hosts or addresses.
func (s Site) String() string { return strings.Join(s.names, ", ") }

// Request makes a request of a source, received at a time in Unix milliseconds, with
// the handler's options.
func (s Site) Request(received int64, e enrich.Endpoint, writeKey string) *enrich.Request {
	return s.handler.requestAt(received, e, writeKey)
}

// Decided describes the decision about a message of such a request.
func (s Site) Decided(r *enrich.Request, v *enrich.Verdict) Decided {
	return newDecided(r, s.handler.source(r.WriteKey).name, v)
}

// sites returns the handlers that serve a write key, sorted by name: those of one
// site, or all if site is "".
func (a *App) sites(writeKey, site string) ([]Site, error) {
	a.mu.Lock()
	handlers := slices.Clone(a.handlers)
	a.mu.Unlock()
	names := a.namesByHandler()
	var all, found []Site
	for _, h := range handlers {
		if !h.listed(writeKey) {
			continue
		}
		s := Site{h, names[h]}
		all = append(all, s)
		if site == "" || slices.Contains(s.names, site) {
			found = append(found, s)
		}
	}
	byName := func(a, b Site) int { return strings.Compare(a.String(), b.String()) }
	slices.SortStableFunc(found, byName)
	if site != "" && len(found) == 0 {
		slices.SortStableFunc(all, byName)
		return nil, fmt.Errorf("site: %q serves no such write key; there are: %s", site, strings.Join(SiteNames(all), ", "))
	}
	return found, nil
}

// SiteNames returns the names of the sites, each once.
func SiteNames(sites []Site) (names []string) {
	for _, s := range sites {
		if name := s.String(); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// namesByHandler returns the names of the handlers of this configuration.
func (a *App) namesByHandler() map[*Handler][]string {
	app, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	names := map[*Handler][]string{}
	for _, server := range app.(*caddyhttp.App).Servers {
		p := siteSearch{server: server, names: names}
		p.routes(server.Routes, server.Listen, 0)
		if server.Errors != nil {
			p.routes(server.Errors.Routes, server.Listen, 0)
		}
	}
	return names
}

// siteSearch finds the handlers in the routes of a server, and their names.
type siteSearch struct {
	server *caddyhttp.Server
	names  map[*Handler][]string
}

// maxRouteDepth bounds the search: a named route may invoke itself.
const maxRouteDepth = 32

func (p siteSearch) routes(routes caddyhttp.RouteList, names []string, depth int) {
	if depth == maxRouteDepth {
		return
	}
	for i := range routes {
		p.route(&routes[i], names, depth)
	}
}

func (p siteSearch) route(r *caddyhttp.Route, names []string, depth int) {
	if hosts := hostsOf(r.MatcherSets); len(hosts) > 0 {
		names = hosts
	}
	for _, h := range r.Handlers {
		switch h := h.(type) {
		case *Handler:
			for _, name := range names {
				if !slices.Contains(p.names[h], name) {
					p.names[h] = append(p.names[h], name)
				}
			}
		case *caddyhttp.Subroute:
			p.routes(h.Routes, names, depth+1)
			if h.Errors != nil {
				p.routes(h.Errors.Routes, names, depth+1)
			}
		case *caddyhttp.Invoke:
			if named := p.server.NamedRoutes[h.Name]; named != nil && depth < maxRouteDepth {
				p.route(named, names, depth+1)
			}
		}
	}
}

func hostsOf(sets caddyhttp.MatcherSets) (hosts []string) {
	for _, set := range sets {
		for _, m := range set {
			switch m := m.(type) {
			case caddyhttp.MatchHost:
				hosts = append(hosts, m...)
			case *caddyhttp.MatchHost:
				hosts = append(hosts, *m...)
			}
		}
	}
	return hosts
}
