package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/rudder-session/rudder-session/enrich"
	"github.com/rudder-session/rudder-session/sessionstate"
)

// Response texts. The first three are the data plane's, which SDKs know.
const (
	textNoWriteKey      = "failed to read writekey from header\n"
	textInvalidWriteKey = "invalid write key\n"
	textAccepted        = "ok"
	textUnavailable     = "session state is unavailable"
	textAborted         = "the body did not come whole\n"
)

// serveControl answers a request to a control endpoint. It never forwards it: the data
// plane does not know these paths.
func (h *Handler) serveControl(w http.ResponseWriter, r *http.Request, report *requestReport, writeKey string, found bool) error {
	if !found {
		report.finish(unauthorized)
		plain(w, r, http.StatusUnauthorized, textNoWriteKey)
		return nil
	}
	if !h.listed(writeKey) {
		report.finish(unauthorized)
		plain(w, r, http.StatusUnauthorized, textInvalidWriteKey)
		return nil
	}
	request := h.request(r, report.target, writeKey)
	if report.target.current {
		return h.serveCurrent(w, r, report, request)
	}
	body, err := readBody(r, h.maxBody, h.finish)
	if err != nil {
		return h.cutShort(w, r, report, err)
	}
	defer body.leave(r, nil)
	if body.decoded == nil {
		report.refuse(invalidCall)
		return problem(w, r, http.StatusBadRequest, "the body is too large, or in an unknown or broken encoding")
	}
	table, err := h.enter()
	if err != nil {
		report.refuse(unavailableState)
		return unavailable(w, r)
	}
	defer h.app.leave()
	table.setReceived(request, received(r))
	table.observe(request, h.source(writeKey).name)
	span, began := startSpan(r), time.Now()
	id, outcome, err := enrich.Control(r.Context(), table.sessions(), request, body.decoded)
	report.messages = outcome
	measure(report.target, len(body.decoded), began)
	countSessions(&outcome)
	if err == nil || outcome.Err != nil {
		table.activity.count(request.Received, &outcome, err != nil)
	}
	if err == nil && outcome.Err != nil { // the call was carried out, but not the link to its user
		metrics.storeErrors.Add(float64(outcome.StoreErrors))
		h.logger.Error("noting the user of a device", zap.Error(outcome.Err))
	}
	defer report.endSpan(span)
	return h.answer(w, r, report, id, err)
}

// serveCurrent answers which session is current, as getSessionId() does in the SDKs.
func (h *Handler) serveCurrent(w http.ResponseWriter, r *http.Request, report *requestReport, request *enrich.Request) error {
	query := r.URL.Query()
	anonymousID, userID := query.Get("anonymousId"), query.Get("userId")
	if request.Key(anonymousID, userID) == "" {
		report.finish(invalidCall)
		return problem(w, r, http.StatusBadRequest, enrich.ErrNoID.Error())
	}
	table, err := h.enter()
	if err != nil {
		report.finish(unavailableState)
		return unavailable(w, r)
	}
	defer h.app.leave()
	table.setReceived(request, received(r))
	w.Header().Set("Cache-Control", "no-store")
	id, err := enrich.Current(r.Context(), table.sessions(), request, anonymousID, userID)
	return h.answer(w, r, report, id, err)
}

// answer answers a control call with the session id, or with an error.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, report *requestReport, id int64, err error) error {
	var storeErr *enrich.StoreError
	switch {
	case errors.As(err, &storeErr):
		report.refuse(unavailableState)
		metrics.storeErrors.Inc()
		h.logger.Error("control call", zap.Error(err))
		return unavailable(w, r)
	case errors.Is(err, enrich.ErrLimited):
		report.finish(limited) // enrich has counted the call already
		w.Header().Set("Retry-After", strconv.Itoa(sessionstate.StartsWindow/1000))
		return problem(w, r, http.StatusTooManyRequests, err.Error())
	case err != nil:
		report.refuse(invalidCall)
		return problem(w, r, http.StatusBadRequest, err.Error())
	}
	report.sessionID = id
	report.finish(answered)
	answer := struct {
		SessionID *int64 `json:"sessionId"`
	}{}
	if id != 0 {
		answer.SessionID = &id
	}
	return writeJSON(w, r, http.StatusOK, answer)
}

// refuse reports a control call that was not carried out.
func (report *requestReport) refuse(o requestOutcome) {
	report.finish(o)
	if !report.target.current {
		countControl(report.target.endpoint.String(), o.word(), 1)
	}
}

// accepted answers as the data plane does to an accepted event.
func accepted(w http.ResponseWriter, r *http.Request) {
	cors(w, r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	write(w, []byte(textAccepted))
}

// unavailable answers 503, and asks the client to retry: the session cannot be read or
// written.
func unavailable(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Retry-After", "1")
	return problem(w, r, http.StatusServiceUnavailable, textUnavailable)
}

func problem(w http.ResponseWriter, r *http.Request, status int, message string) error {
	return writeJSON(w, r, status, struct {
		Error string `json:"error"`
	}{message})
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	cors(w, r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	write(w, append(text, '\n'))
	return nil
}

func plain(w http.ResponseWriter, r *http.Request, status int, text string) {
	cors(w, r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	write(w, []byte(text))
}

// write writes the body of a response. It ignores errors: they mean that the client has
// gone, and Caddy would log them as the server's, with the write key in the URI.
func write(w http.ResponseWriter, text []byte) { _, _ = w.Write(text) }

// cors sets the CORS headers that the data plane sets. Without them, a browser reports
// a network error for every answer.
func cors(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
}
