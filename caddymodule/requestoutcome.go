package caddymodule

// requestOutcome is the result of a request.
type requestOutcome uint8

const (
	changed requestOutcome = iota
	unchanged
	answered
	// Not carried out.
	unavailableState
	invalidCall
	unauthorized
	limited
	// Handed on unread.
	noWriteKey
	otherWriteKey
	ofJob
	streaming
	withoutBody
	tooLarge
	unknownEncoding
	notJSON
	noStore
	// The client did not send its body whole.
	aborted

	requestOutcomes
)

var requestOutcomeWords = [requestOutcomes]struct{ outcome, reason string }{
	changed:          {"changed", ""},
	unchanged:        {"unchanged", ""},
	answered:         {"answered", ""},
	unavailableState: {"unavailable", ""},
	invalidCall:      {"invalid", ""},
	unauthorized:     {"unauthorized", ""},
	limited:          {"limited", ""},
	noWriteKey:       {"passed", "no_write_key"},
	otherWriteKey:    {"passed", "other_write_key"},
	ofJob:            {"passed", "job"},
	streaming:        {"passed", "streaming"},
	withoutBody:      {"passed", "no_body"},
	tooLarge:         {"passed", "too_large"},
	unknownEncoding:  {"passed", "encoding"},
	notJSON:          {"passed", "not_json"},
	noStore:          {"passed", "store_error"},
	aborted:          {"aborted", ""},
}

// word is the outcome as metrics and logs have it, reason why a request was passed
// on as it came; "" for others.
func (o requestOutcome) word() string   { return requestOutcomeWords[o].outcome }
func (o requestOutcome) reason() string { return requestOutcomeWords[o].reason }
