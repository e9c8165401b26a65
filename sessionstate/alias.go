package sessionstate

import "github.com/rudder-session/rudder-session/sessionstate/session"

type (
	Session   = session.Session
	Segment   = session.Segment
	Policy    = session.Policy
	Event     = session.Event
	Decision  = session.Decision
	Change    = session.Change
	MessageID = session.MessageID
)

const (
	Unchanged  = session.Unchanged
	Noted      = session.CacheOnly
	Touched    = session.Deferred
	Changed    = session.Write
	Controlled = session.WriteThrough

	MaxSegments = session.MaxSegments
	ReadFormat  = session.ReadFormat
	WriteFormat = session.WriteFormat
)

var (
	AppendSession  = session.Append
	DecodeSession  = session.Decode
	decodeSession  = session.DecodeInto
	SessionVersion = session.VersionOf
	SessionSeen    = session.SeenOf
	ErrFormat      = session.ErrFormat
	ErrNewer       = session.ErrNewer
)

type Version = session.Version

type (
	Moment = session.Moment
	UserID = session.UserID
	Mode   = session.Mode
	Origin = session.Origin
)
