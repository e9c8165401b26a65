package shop

// sdkSession is a session as an SDK stores it.
type sdkSession struct {
	id    int64
	last  int64 // when its last event was made, by the device's clock
	start bool  // no event has carried the start mark yet
}

// The SDKs' timeouts, in milliseconds.
const (
	webTimeout = 30 * minute
	appTimeout = 5 * minute
)

// take returns the session fields of an event that is made now.
func (s *sdkSession) take(now int64) (id int64, start bool) {
	start = s.start
	s.start, s.last = false, now
	return s.id, start
}

// renew begins a session now.
func (s *sdkSession) renew(id, now int64) { *s = sdkSession{id: id, last: now, start: true} }

// idle reports whether there is no session, or it has timed out.
func (s *sdkSession) idle(now, timeout int64) bool {
	return s.id == 0 || now-s.last > timeout
}

// openTab opens a tab of JS 1.1, which reads the stored session. unwritten: it finds
// none, because a tab that was opened at the same time has not written its own yet.
func (d *device) openTab(tab int, now int64, unwritten bool) {
	s := d.stored
	if unwritten || s.idle(now, webTimeout) {
		s.renew(now, now)
	}
	d.tabs[tab] = s
	d.stored = s
}

// loadPage loads a page: without storage, the SDK starts from nothing.
func (d *device) loadPage(now int64) {
	if d.kind == WebBlocked {
		d.renamed++
		d.stored.renew(now, now)
	}
}

// session returns the session fields of an event that is made now; id is 0 for none.
func (d *device) session(tab int, now int64) (id int64, start bool) {
	switch d.kind {
	case WebV3, WebBlocked:
		if d.stored.idle(now, webTimeout) {
			d.stored.renew(now, now)
		}
		return d.stored.take(now)
	case WebV1:
		s := &d.tabs[tab]
		if s.idle(now, webTimeout) {
			s.renew(now, now)
		}
		id, start = s.take(now)
		d.stored = *s
		return id, start
	case WebOff, AppOff:
		return 0, false
	}
	return d.stored.take(now)
}

// foreground lets an app's SDK check whether its session is over, which it does when
// the app is started and when it comes to the foreground.
func (d *device) foreground(now int64) {
	idle := now - d.stored.last
	if d.stored.id == 0 || max(idle, -idle) > appTimeout {
		d.stored.renew(now/second, now)
	}
}

// reset is the SDK's reset().
func (d *device) reset(tab int, now int64) {
	d.user = 0
	switch {
	case d.kind == WebV1:
		d.tabs[tab].renew(now, now)
		d.stored = d.tabs[tab]
	case d.kind.app():
		d.stored.renew(now/second, now)
	default:
		d.stored.renew(now, now)
	}
	if d.kind.renames() {
		d.renamed++
	}
}
