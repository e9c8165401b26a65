package shop

import "math/rand/v2"

// visit is somebody using a device, from when they take it until they leave it for
// more than half an hour. Where people log out, or in for somebody else, it is
// several visits of the truth.
type visit struct {
	*device
	*rand.Rand
	generator *generator
	person    int   // who
	begun, t  int64 // when it began, and the current true time
	tab       int
	product   uint32 // what they look at
	made      []*event
}

// event is an event as an SDK made it.
type event struct {
	id      MessageID
	device  *device // for an event of the backend the one its visit is on, or nil
	home    *household
	at      int64 // in true time
	made    int64 // by the clock of the device
	session int64
	renamed uint32
	user    int32 // the number of who is logged in, from 1, or 0
	product uint32
	act     act
	start   bool
	// named: the backend's event has the anonymousId. java: it is the Java service's.
	named, java bool
	// findVisit: the event is made in advance; its visit is looked up when its line is
	// written.
	findVisit bool
}

// do makes an event on the device.
func (v *visit) do(a act) {
	now := v.clock.read(v.t)
	e := &event{
		device: v.device, home: v.home, at: v.t, made: now, act: a, user: int32(v.user), product: v.product,
	}
	e.id = MessageID{Household: uint32(v.home.first), Device: v.number, Kind: v.kind}
	e.session, e.start = v.device.session(v.tab, now)
	e.id.Visit, e.id.Number = v.attend(v.t, v.person)
	e.renamed = v.renamed
	v.made = append(v.made, e)
	v.generator.events++
}

// wait lets time pass.
func (v *visit) wait(least, most int64) { v.t += between(v.Rand, least, most) }

// happens returns true with a probability.
func (v *visit) happens(share float64) bool { return v.Float64() < share }

// member is the number of the person as a user, from 1.
func (v *visit) member() int { return v.person + 1 }

// hasAccount reports whether the person can log in.
func (v *visit) hasAccount() bool { return v.home.account[v.person-v.home.first] }

// logIn logs the person in. If somebody else is logged in, another visit begins.
func (v *visit) logIn() {
	if v.user != 0 && v.user != v.member() {
		v.over = true
		if v.kind.resets() {
			v.device.reset(v.tab, v.clock.read(v.t))
		}
	}
	v.user = v.member()
	v.do(actIdentify)
}

// logOut logs out the user who is logged in.
func (v *visit) logOut() {
	v.do(actSignedOut)
	v.wait(50, 400)
	v.device.reset(v.tab, v.clock.read(v.t))
	v.over = true
}

// logoutShare is the share of visits in which people log out of this device.
func (v *visit) logoutShare() float64 {
	switch {
	case v.shared:
		return SharedLogoutShare
	case v.kind.app():
		return AppLogoutShare
	}
	return LogoutShare
}

// choose picks the next product that the person looks at.
func (v *visit) choose() { v.product = v.Uint32() }

// order makes the backend report the order that was just placed, and its shipping.
func (v *visit) order() {
	java, named := v.happens(BackendJavaShare), v.happens(BackendAnonymousShare)
	report := func(a act, at int64) *event {
		v.home.reports++
		return &event{
			id:     MessageID{Household: uint32(v.home.first), Kind: v.kind, Number: v.home.reports & 0xfff, Backend: true},
			device: v.device, home: v.home, at: at, made: at, act: a, renamed: v.renamed, user: int32(v.user),
			product: v.product, java: java, named: named,
		}
	}
	t := v.t
	for _, a := range [...]act{actPaymentAccepted, actOrderPaid} {
		t += between(v.Rand, 150, 1500)
		e := report(a, t)
		e.id.Device, e.id.Visit = v.number, v.visits
		v.report(e)
	}
	t += scaled(v.Rand, float64(2*hour), float64(60*hour))
	for _, a := range [...]act{actOrderShipped, actOrderDelivered} {
		if t < End {
			e := report(a, t)
			e.named, e.findVisit = false, true
			v.report(e)
		}
		t += scaled(v.Rand, float64(20*hour), float64(80*hour))
	}
}

// report sends an event of the backend, which collects events for up to ten seconds.
func (v *visit) report(e *event) {
	v.generator.events++
	sent := e.at + between(v.Rand, 5, 10*second)
	for attempt := range retries {
		last := attempt == retries-1
		lost := !last && v.happens(2*LostShare)
		if !lost {
			v.generator.deliver(e, sent+between(v.Rand, 2, 20), sent)
		}
		if !lost && (last || !v.happens(2*UnansweredShare)) {
			return
		}
		sent += 1*second<<attempt + between(v.Rand, 5, 50)
	}
}

// retries is the largest number of attempts to send a request.
const retries = 4
