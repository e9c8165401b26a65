package adminapi

import (
	"encoding/json"
	"net/http"

	"github.com/rudder-session/rudder-session/caddymodule"
)

// decisions streams what is decided, one Decided a line, until the client goes.
// A line {"missed": n} says that there were more than it took.
func (API) decisions(w http.ResponseWriter, r *http.Request) error {
	if err := checkParameters(r.URL.Query(), []string{"table"}); err != nil {
		return err
	}
	t, err := caddymodule.EnterTable(r.URL.Query().Get("table"))
	if err != nil {
		return withStatus(err)
	}
	watcher, stop := t.Watch()
	// Who watches does not keep the table open.
	t.Leave()
	defer stop()
	w.Header().Set("Content-Type", ndjson)
	w.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(w)
	encoder := json.NewEncoder(w)
	for {
		if err := flusher.Flush(); err != nil {
			return nil
		}
		var next any
		select {
		case d := <-watcher.Decisions():
			next = d
		case <-watcher.Closed():
			return nil
		case <-r.Context().Done():
			return nil
		}
		if n := watcher.Missed(); n > 0 {
			if encoder.Encode(map[string]int64{"missed": n}) != nil {
				return nil
			}
		}
		if encoder.Encode(next) != nil {
			return nil
		}
	}
}
