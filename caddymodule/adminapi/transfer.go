package adminapi

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/rudder-session/rudder-session/caddymodule"
	"github.com/rudder-session/rudder-session/caddymodule/internal/manage"
	"github.com/rudder-session/rudder-session/caddymodule/internal/record"
)

// ndjson is JSON lines.
const ndjson = "application/x-ndjson"

// export writes all sessions as JSON lines, one record each. A store that fails
// breaks the connection off: what came is not all.
func (API) export(w http.ResponseWriter, r *http.Request, t caddymodule.OpenTable) error {
	w.Header().Set("Content-Type", ndjson)
	out := bufio.NewWriterSize(w, 64<<10)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	began := false
	err := manage.Export(r.Context(), t, func(line *record.Record) error {
		began = true
		return encoder.Encode(line)
	})
	switch {
	case err == nil:
		return out.Flush()
	case began:
		panic(http.ErrAbortHandler)
	}
	return err
}

// importRecords reads what export wrote. Sessions that are newer here are kept.
// A line that is wrong ends it; those before it have been imported.
func (API) importRecords(w http.ResponseWriter, r *http.Request, t caddymodule.OpenTable) error {
	result, err := manage.Import(r.Context(), t, patientBody{r.Body, http.NewResponseController(w).SetReadDeadline})
	if err != nil {
		return err
	}
	return writeJSON(w, result)
}

// patientBody is the body of a request that may take as long as it needs to, if
// only it goes on. Caddy's admin endpoint gives each ten seconds: more than most
// tables take, and less than a large one, or a slow line.
type patientBody struct {
	io.Reader
	deadline func(time.Time) error
}

// longestPause is how long a client may take to send a little more.
const longestPause = time.Minute

func (b patientBody) Read(to []byte) (int, error) {
	// What knows no deadlines has none.
	_ = b.deadline(time.Now().Add(longestPause))
	n, err := b.Reader.Read(to)
	_ = b.deadline(time.Time{})
	return n, err
}
