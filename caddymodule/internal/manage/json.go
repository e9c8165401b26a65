package manage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// How large a body may be, in bytes, that says who is meant, and one that has
// the body of a request in it.
const (
	MaxQuestion = 64 << 10
	MaxExplain  = 16 << 20
)

// Read reads the body of a request, one JSON object.
func Read(w http.ResponseWriter, r *http.Request, max int64, into any) error {
	switch err := decodeOne(http.MaxBytesReader(w, r.Body, max), into); {
	case errors.Is(err, errMoreJSON):
		return errors.New("the body must be one JSON object")
	case err != nil:
		return fmt.Errorf("the body must be a JSON object: %w", err)
	}
	return nil
}

var errMoreJSON = errors.New("more than one JSON value")

// decodeOne reads one JSON value, behind which there is nothing, not even a bracket
// too many. Members that are not known are refused: one that is misspelt would be
// left out, and forget would forget more than was meant.
func decodeOne(from io.Reader, into any) error {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errMoreJSON
	}
	return nil
}
