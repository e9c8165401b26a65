package enrich_test

import (
	"fmt"
	"strings"
)

// oracle has all messages, in the order in which they arrived.
type oracle []*happening

// before returns the newest matching message at a time or before. Messages with equal
// times are repeats of each other.
func (o oracle) before(t int64, match func(*happening) bool) (newest *happening) {
	for _, h := range o {
		if h.at <= t && match(h) && (newest == nil || h.at > newest.at) {
			newest = h
		}
	}
	return newest
}

// after returns the oldest matching message after a time.
func (o oracle) after(t int64, match func(*happening) bool) (oldest *happening) {
	for _, h := range o {
		if h.at > t && match(h) && (oldest == nil || h.at < oldest.at) {
			oldest = h
		}
	}
	return oldest
}

// owner returns the user of a device at a time.
func (o oracle) owner(device string, t int64) string {
	h := o.before(t, func(h *happening) bool { return h.device == device && h.user != "" })
	if h == nil {
		return ""
	}
	return h.user
}

// manual returns the session that control calls set at a time for a device, or for a
// user if device is "". ended: the last of these calls was an end. at is its time.
func (o oracle) manual(device, user string, t int64) (id int64, ended bool, at int64) {
	h := o.before(t, func(h *happening) bool {
		return h.device == device && (device != "" || h.user == user) && (h.start || h.end)
	})
	switch {
	case h == nil:
		return 0, false, 0
	case h.end:
		return 0, true, h.at
	}
	return h.at, false, h.at
}

// session returns the session of a device at a time, and when it began.
func (o oracle) session(device string, t int64) (id int64, manual bool, from int64) {
	id, ended, at := o.manual(device, "", t)
	if id != 0 || ended {
		return id, id != 0, at
	}
	own := o.isOwn(device)
	last := o.before(t, own)
	switch next := o.after(t, own); {
	case last == nil:
		return 0, false, 0
	case next != nil && next.own == last.own: // it continued
	case t-last.at > followTimeout:
		return 0, false, 0
	}
	// It began with the first of the consecutive events that have its id.
	from = last.at
	for {
		h := o.before(from-1, own)
		if h == nil || h.own != last.own {
			return last.own, false, from
		}
		from = h.at
	}
}

// isOwn matches the events of a device in a session of its SDK.
func (o oracle) isOwn(device string) func(*happening) bool {
	return func(h *happening) bool {
		if h.device != device || h.own == 0 || o.owner(device, h.at) == "" {
			return false
		}
		id, ended, _ := o.manual(device, "", h.at)
		return id == 0 && !ended
	}
}

// ownBefore returns the newest such event at a time or before.
func (o oracle) ownBefore(device string, t int64) *happening { return o.before(t, o.isOwn(device)) }

// device returns the device on which a user was active last, among those that still
// belong to the user.
func (o oracle) device(user string, t int64) string {
	h := o.before(t, func(h *happening) bool {
		return h.device != "" && o.owner(h.device, h.at) == user && o.owner(h.device, t) == user
	})
	if h == nil {
		return ""
	}
	return h.device
}

// answer returns the session id that a user's event should get; 0 for none.
func (o oracle) answer(e *happening) int64 { return o.answerOn(e, o.device(e.user, e.at)) }

// answerOn returns the session id that it should get if it follows a device; "" for none.
func (o oracle) answerOn(e *happening, device string) int64 {
	own, ended, at := o.manual("", e.user, e.at)
	if own != 0 {
		return own
	}
	var id, from int64
	manual := false
	if device != "" {
		id, manual, from = o.session(device, e.at)
	}
	switch {
	case ended && (id == 0 || from <= at):
		return 0
	case manual:
		return id
	case e.own != 0:
		return e.own
	}
	return id
}

// ownSession reports whether a user's own control call began a session.
func (o oracle) ownSession(user string, id int64) bool {
	for _, h := range o {
		if h.device == "" && h.user == user && h.start && h.at == id {
			return true
		}
	}
	return false
}

func (o oracle) tell() string {
	var b strings.Builder
	for _, h := range o {
		fmt.Fprintf(&b, "%+v\n", *h)
	}
	return b.String()
}

// mayBeOn reports whether the proxy may take a device for the one on which the user was
// active last: everything that shows otherwise is older than some message of the device.
func (o oracle) mayBeOn(e *happening, device string) bool {
	if o.owner(device, e.at) != e.user {
		return false
	}
	newest, arrived := int64(0), -1
	for i, h := range o {
		if h.device == device && h.at <= e.at && o.owner(device, h.at) == e.user {
			newest, arrived = max(newest, h.at), i
		}
	}
	for i, h := range o {
		if h.device != "" && h.device != device && h.at > newest && h.at <= e.at && i > arrived &&
			o.owner(h.device, h.at) == e.user && o.owner(h.device, e.at) == e.user {
			return false
		}
	}
	return arrived >= 0
}
