package caddymodule

import (
	"encoding/json"
	"net/http"
)

// decisions streams what is decided, one Decided a line, until the client goes.
// A line {"missed": n} says that there were more than it took.
func (Admin) decisions(w http.ResponseWriter, r *http.Request) error {
	if err := checkParameters(r.URL.Query(), []string{"table"}); err != nil {
		return err
	}
	t, _, leave, err := enterTable(r.URL.Query().Get("table"))
	if err != nil {
		return adminError(err)
	}
	watcher, stop := t.activity.watch()
	// Who watches does not keep the table open.
	leave()
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
		case d := <-watcher.decisions:
			next = d
		case <-watcher.gone:
			return nil
		case <-r.Context().Done():
			return nil
		}
		if n := watcher.missed.Swap(0); n > 0 {
			if encoder.Encode(map[string]int64{"missed": n}) != nil {
				return nil
			}
		}
		if encoder.Encode(next) != nil {
			return nil
		}
	}
}
