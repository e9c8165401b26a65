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

// take returns what an event that is made now carries.
func (s *sdkSession) take(now int64) (id int64, start bool) {
	start = s.start
	s.start, s.last = false, now
	return s.id, start
}

// renew begins a session now.
func (s *sdkSession) renew(id, now int64) { *s = sdkSession{id: id, last: now, start: true} }

// idle tells whether there is no session that an event now could be in.
func (s *sdkSession) idle(now, timeout int64) bool {
	return s.id == 0 || now-s.last > timeout
}

// openTab has JS 1.1 read the stored session. Tabs that are opened at once may both
// find none, as neither has written its own yet.
func (d *device) openTab(tab int, now int64, unwritten bool) {
	s := d.stored
	if unwritten || s.idle(now, webTimeout) {
		s.renew(now, now)
	}
	d.tabs[tab] = s
	d.stored = s
}

// loadPage has the SDK of a browser without storage begin anew.
func (d *device) loadPage(now int64) {
	if d.kind == WebBlocked {
		d.renamed++
		d.stored.renew(now, now)
	}
}

// session returns what an event that is made now carries; id is 0 for nothing.
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

// foreground has an app's SDK look whether its session is over: when the app is
// started, and when it comes to the foreground.
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
