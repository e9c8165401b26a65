package caddymodule

// disposition is what became of a request.
type disposition uint8

const (
	changed disposition = iota
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

	dispositions
)

var dispositionNames = [dispositions]struct{ outcome, reason string }{
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

func (d disposition) outcome() string { return dispositionNames[d].outcome }
func (d disposition) reason() string  { return dispositionNames[d].reason }
