package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// siteFinder looks for a handler in the JSON of the http app, which it does not load:
// certificates, listeners and logs are not needed to know a handler's options.
type siteFinder struct {
	wanted string

	// found is the handler, without its name, names are those of its site.
	found json.RawMessage
	names []string
	// others are the sites that were met and are not wanted.
	others []string
}

type recordedServer struct {
	Listen []string                 `json:"listen"`
	Routes []recordedRoute          `json:"routes"`
	Named  map[string]recordedRoute `json:"named_routes"`
	Errors *struct {
		Routes []recordedRoute `json:"routes"`
	} `json:"errors"`
}

type recordedRoute struct {
	Match []struct {
		Host []string `json:"host"`
	} `json:"match"`
	Handle []json.RawMessage `json:"handle"`
}

// recordedHandler is what a handler has that leads to other handlers.
type recordedHandler struct {
	Handler string          `json:"handler"`
	Name    string          `json:"name"`   // of invoke
	Routes  []recordedRoute `json:"routes"` // of subroute
	Errors  *struct {
		Routes []recordedRoute `json:"routes"`
	} `json:"errors"`
}

func (f *siteFinder) servers(servers map[string]recordedServer) {
	// The Caddyfile's are srv0, srv1 and so on, in its order.
	names := slices.SortedFunc(maps.Keys(servers), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	for _, name := range names {
		s := servers[name]
		f.routes(&s, s.Routes, s.Listen, 0)
		if s.Errors != nil {
			f.routes(&s, s.Errors.Routes, s.Listen, 0)
		}
	}
}

func (f *siteFinder) routes(s *recordedServer, routes []recordedRoute, names []string, depth int) {
	for i := range routes {
		if f.found != nil || depth == maxRouteDepth {
			return
		}
		f.route(s, &routes[i], names, depth)
	}
}

func (f *siteFinder) route(s *recordedServer, r *recordedRoute, names []string, depth int) {
	var hosts []string
	for _, m := range r.Match {
		hosts = append(hosts, m.Host...)
	}
	if len(hosts) > 0 {
		names = hosts
	}
	for _, text := range r.Handle {
		f.handle(s, text, names, depth)
	}
}

func (f *siteFinder) handle(s *recordedServer, text json.RawMessage, names []string, depth int) {
	var h recordedHandler
	if f.found != nil || depth == maxRouteDepth {
		return
	}
	if json.Unmarshal(text, &h) != nil {
		h = recordedHandler{} // another module's, with members of the same names
	}
	switch h.Handler {
	case "rudder_session":
		f.handler(text, names)
	case "subroute":
		f.routes(s, h.Routes, names, depth+1)
		if h.Errors != nil {
			f.routes(s, h.Errors.Routes, names, depth+1)
		}
	case "invoke":
		if named, ok := s.Named[h.Name]; ok {
			f.route(s, &named, names, depth+1)
		}
	default:
		f.within(s, text, depth+1)
	}
}

// within looks for handlers in the JSON of another module. Which site they are for is
// that module's to know.
func (f *siteFinder) within(s *recordedServer, text json.RawMessage, depth int) {
	var parts []json.RawMessage
	var members map[string]json.RawMessage
	switch {
	case depth == maxRouteDepth:
		return
	case text[0] == '[' && json.Unmarshal(text, &parts) == nil:
	case text[0] == '{' && json.Unmarshal(text, &members) == nil:
		for _, name := range slices.Sorted(maps.Keys(members)) {
			parts = append(parts, members[name])
		}
	}
	for _, part := range parts {
		var h recordedHandler
		if part[0] == '{' && json.Unmarshal(part, &h) == nil && h.Handler != "" {
			f.handle(s, part, nil, depth)
			continue
		}
		f.within(s, part, depth+1)
	}
}

func (f *siteFinder) handler(text json.RawMessage, names []string) {
	if f.wanted != "" && !slices.Contains(names, f.wanted) {
		if name := strings.Join(names, ", "); name != "" && !slices.Contains(f.others, name) {
			f.others = append(f.others, name)
		}
		return
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return
	}
	delete(members, "handler")
	f.found, _ = json.Marshal(members) // cannot fail: they have just been read
	f.names = names
}

func (f *siteFinder) missing() error {
	if f.wanted == "" || len(f.others) == 0 {
		return errors.New("the configuration has no rudder_session handler")
	}
	return fmt.Errorf("site: no rudder_session handler serves %q; there are: %s", f.wanted, strings.Join(f.others, "; "))
}
