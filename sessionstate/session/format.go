package session

import "errors"

// A stored session begins with the number of its format. A format is brought in
// with two releases, so that processes of neighbouring releases can share a
// store while one replaces the other:
//
//  1. A release learns to read the new format: ReadFormat goes up, and
//     WriteFormat stays.
//  2. The release after it writes the new format: WriteFormat goes up, and so
//     does the schema number of package filestore.
//
// A test holds the schema number to WriteFormat. Every format has the version of
// the session in the same place: stores compare it without reading the rest.
// Formats 1 to 3 were never part of a release: 4 is the first that needs this.
const (
	// ReadFormat is the newest format that [Decode] knows. It also knows all
	// formats before it.
	ReadFormat = 4
	// WriteFormat is the format that [Append] writes. It is at most ReadFormat.
	WriteFormat = 4

	// lastFormat is the highest number that a format will ever have. Bytes that begin
	// with a greater one, such as text, are no session of any release.
	lastFormat = 31
)

var (
	// ErrFormat means that stored bytes are no session.
	ErrFormat = errors.New("stored session is not readable")
	// ErrNewer means that a later release has written a stored session, in a format
	// above [ReadFormat]. The session is intact and must be left as it is.
	ErrNewer = errors.New("stored session has a newer format than this version reads")
)
