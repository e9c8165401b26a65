package caddymodule

import (
	"net/http"
	"strings"

	"github.com/rudder-session/rudder-session/enrich"
)

// target is what a request is for.
type target struct {
	endpoint enrich.Endpoint
	// beacon: the write key is in the query.
	beacon bool
	// current: GET /v1/session, which asks for the current session.
	current bool
}

func (t target) control() bool { return t.current || t.endpoint.Control() }

// route determines what a request is for, by its method and exact raw path. The data
// plane neither cleans nor decodes paths, so an equivalent path is a different one.
func (h *Handler) route(r *http.Request) (t target, known bool) {
	switch r.Method {
	case http.MethodPost:
		return h.post(r.URL.EscapedPath())
	case http.MethodGet:
		path, ok := strings.CutPrefix(r.URL.EscapedPath(), h.prefix)
		t.current = ok && path == sessionPath
	}
	return t, t.current
}

// post determines what a POST request to a raw path is for.
func (h *Handler) post(path string) (t target, known bool) {
	path, ok := strings.CutPrefix(path, h.prefix)
	if ok {
		t.endpoint, known = posts[path]
		t.beacon = path == beaconPath
	}
	return t, known
}

const (
	beaconPath  = "/beacon/v1/batch"
	sessionPath = "/v1/session"
)

var posts = map[string]enrich.Endpoint{
	"/v1/batch":        enrich.Batch,
	beaconPath:         enrich.Batch,
	"/v1/identify":     enrich.Identify,
	"/v1/track":        enrich.Track,
	"/v1/page":         enrich.Page,
	"/v1/screen":       enrich.Screen,
	"/v1/group":        enrich.Group,
	"/v1/alias":        enrich.Alias,
	"/v1/startSession": enrich.StartSession,
	"/v1/endSession":   enrich.EndSession,
	"/v1/resetSession": enrich.ResetSession,
}

// findWriteKey finds the write key where the data plane looks for it: in the query at
// the beacon endpoint, else in the Basic user name of the first Authorization header.
// Control endpoints take either, because sendBeacon, which pages use when the user
// leaves, cannot set headers.
func findWriteKey(r *http.Request, t target) (key string, found bool) {
	if !t.beacon {
		key, _, found = r.BasicAuth()
		if key != "" || !t.control() {
			return key, found && key != ""
		}
	}
	key = r.URL.Query().Get("writeKey")
	return key, key != ""
}
