package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/rueidis"
)

// ServerError is an error reply of a server. It contains only the reply's code, such as
// OOM, because the rest may repeat the command, with a session's key or a password.
type ServerError struct {
	// Code is one of codes, or empty.
	Code string
	// meaning explains it.
	meaning string
}

func (e *ServerError) Error() string {
	if e.Code == "" {
		return "redis: an error of a kind that is not known"
	}
	return "redis: " + e.Code + ": " + e.meaning
}

func newServerError(text string) *ServerError {
	e := &ServerError{Code: codeOf(text)}
	e.meaning = codes[e.Code]
	for _, known := range phrases {
		if strings.Contains(text, known.phrase) {
			e.meaning = known.meaning
			if e.Code == "" {
				e.Code = "ERR" // the library removes it
			}
		}
	}
	return e
}

// codes maps the first word of a server's error to its meaning. Other words are not
// shown, because the server may not be a Redis.
var codes = map[string]string{
	"ASK":            "a slot is moving to another node",
	"BUSY":           "a script or function runs that does not end",
	"CLUSTERDOWN":    "some slots of the Cluster have no node",
	"CROSSSLOT":      "keys of different slots in one command",
	"DENIED":         "refused in protected mode",
	"ERR":            "the command was refused; does this user or server not know it?",
	"EXECABORT":      "a transaction was refused",
	"INPROG":         "a failover is in progress",
	"LOADING":        "the data is being loaded",
	"MASTERDOWN":     "a replica has lost its master",
	"MISCONF":        "the server cannot write to its disk, and takes no changes",
	"MOVED":          "a slot is at another node",
	"NOAUTH":         "a password is needed",
	"NOGOODSLAVE":    "there is no replica to take over",
	"NOMASTERLINK":   "a replica has lost its master",
	"NOPERM":         "the user has not the right",
	"NOPROTO":        "the server does not know the protocol: version 7 or newer is needed",
	"NOREPLICAS":     "too few replicas are connected",
	"NOSCRIPT":       "a script is not known",
	"OOM":            "maxmemory is reached",
	"READONLY":       "the server is a replica, which takes no changes",
	"TRYAGAIN":       "a slot is moving to another node",
	"UNBLOCKED":      "the server has become a replica",
	"UNKILLABLE":     "a script runs that cannot be ended",
	"VERSION":        "a newer server has written this",
	"WRONGPASS":      "user and password are not accepted",
	"WRONGTYPE":      "the key has something else than a session",
	"IDONTKNOW":      "a Sentinel does not know the master's state",
	"INVALIDOBJ":     "the key has something else than a session",
	"NOTREADY":       "the server is not ready",
	"REPLICAUPDATED": "a replica was updated",
}

// phrases are parts of a server's errors that are more specific than the code, and
// their meaning.
var phrases = []struct{ phrase, meaning string }{
	{"unknown command", "the server does not know the command: is it renamed, or no Redis 7?"},
	{"unknown subcommand", "the server does not know the command: is it renamed, or no Redis 7?"},
	{"can't run this command", "NOPERM: the user has not the right to a command of the script"},
	{"can't access at least one of the keys", "NOPERM: the user has not the right to keys with this prefix"},
	{"max number of clients", "maxclients is reached"},
	{"DB index is out of range", "there is no database of that number"},
	{"without any password configured", "a password is given, and the server has none"},
	{"non local key", "a slot is moving to another node"},
}

// sanitized returns an error without text from a server, and without text that may
// repeat parts of a command or a reply. Such an error may be logged and shown.
func sanitized(err error) error {
	switch {
	case err == nil, isSafe(err):
		return err
	}
	var of *rueidis.RedisError
	if errors.As(err, &of) {
		return newServerError(of.Error())
	}
	return &clientError{describe(err), err}
}

// codeOf returns the code of a server's error, "" if it is none of codes.
func codeOf(text string) string {
	code, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	if _, ok := codes[code]; !ok {
		// A script's error may begin with its position in the script.
		return ""
	}
	return code
}

// clientError is an error of the connection or the library, with a text that repeats
// nothing of a command or reply. The original error serves only for errors.Is.
type clientError struct {
	text string
	err  error
}

func (e *clientError) Error() string { return "redis: " + e.text }

// Is makes errors.Is work. There is no Unwrap, because it would expose the text.
func (e *clientError) Is(target error) bool { return errors.Is(e.err, target) }

// isSafe reports whether an error is one of this package or the standard library whose
// text contains at most host names.
func isSafe(err error) bool {
	switch err.(type) { //nolint:errorlint // an error that wraps one of these has another text
	case ownError, *ServerError, *clientError, *net.OpError, *net.DNSError, syscall.Errno,
		*tls.CertificateVerificationError, x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError:
		return true
	}
	switch err { //nolint:errorlint // likewise
	case context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, net.ErrClosed,
		rueidis.ErrClosing, rueidis.ErrNoAddr, rueidis.ErrNoSlot:
		return true
	}
	return false
}

// describe returns a text for an error that is not safe.
func describe(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, rueidis.ErrNoCache):
		return codeOf(err.Error()) + ": the server does not tell of changes of keys, for which CLIENT TRACKING is needed"
	case errors.As(err, &op):
		return op.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the caller is gone"
	case rueidis.IsParseErr(err):
		return "an answer of another type than expected"
	}
	return fmt.Sprintf("an error of type %T; is it a Redis that answers?", err)
}

// ownError is an error of this package.
type ownError string

func (e ownError) Error() string { return string(e) }
