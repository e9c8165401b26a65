package manage

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/enrich"
)

// ExplainQuestion is a request to be explained.
type ExplainQuestion struct {
	WriteKey string `json:"write_key"`
	// Site is whose handler is asked; "" is all that serve the write key.
	Site string `json:"site,omitempty"`
	// Endpoint is the last part of the path that it would be sent to.
	Endpoint string `json:"endpoint"`
	// Received is when it would arrive, in Unix milliseconds; 0 is now.
	Received int64 `json:"received,omitempty"`
	// Body is its body; BodyBase64 is it where that is no JSON, or its very bytes
	// matter.
	Body       json.RawMessage `json:"body,omitempty"`
	BodyBase64 []byte          `json:"body_base64,omitempty"`
}

// Explanation is what would be done to a message, as JSON.
type Explanation struct {
	// Site is whose handler would do so, where several serve the write key.
	Site string `json:"site,omitempty"`
	caddymodule.Decided
	Rules []string `json:"rules"`
}

var (
	errNoHandler = errors.New("no rudder_session handler serves this write key")
	errTwoBodies = errors.New("body and body_base64: only one of them")
)

// Explain says what the handlers of a write key, or that of one site, would do to a
// body: first all that one of them would do.
func Explain(ctx context.Context, t caddymodule.OpenTable, q ExplainQuestion) ([]Explanation, error) {
	endpoint, err := enrich.ParseEndpoint(q.Endpoint)
	if err != nil {
		return nil, err
	}
	if q.Received == 0 {
		q.Received = t.Now()
	}
	body := q.BodyBase64
	if q.Body != nil {
		if body != nil {
			return nil, errTwoBodies
		}
		body = q.Body
	}
	if q.WriteKey == "" {
		return nil, errNoWriteKey
	}
	sites, err := t.Sites(q.WriteKey, q.Site)
	switch {
	case err != nil:
		return nil, err
	case len(sites) == 0:
		return nil, errNoHandler
	}
	all := []Explanation{}
	for _, s := range sites {
		request := s.Request(q.Received, endpoint, q.WriteKey)
		explained, err := enrich.Explain(ctx, t.Sessions(), request, body)
		if err != nil {
			return nil, err
		}
		name := ""
		if len(sites) > 1 {
			name = s.String()
		}
		for i := range explained {
			all = append(all, Explanation{name, s.Decided(request, &explained[i].Verdict), explained[i].Rules})
		}
	}
	return all, nil
}
