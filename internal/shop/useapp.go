package shop

// useApp is a visit to an app, which is started or comes to the foreground, and goes to
// the background at the end.
func (v *visit) useApp() {
	if v.happens(OfflineShare) {
		v.offline = max(v.offline, v.t+scaled(v.Rand, float64(5*minute), float64(10*hour)))
	}
	v.open(v.happens(ColdShare) || v.stored.id == 0)
	coffee, glance, logOut := v.happens(CoffeeShare), v.happens(GlanceShare), v.happens(v.logoutShare())
	screens, logIn := 1+geometric(v.Rand, 3), -1
	switch {
	case v.user != 0 && v.user != v.member():
		if v.hasAccount() {
			v.wait(4*second, 30*second)
			if v.happens(0.5) {
				v.logOut()
				v.wait(2*second, 20*second)
			}
			v.logIn()
		}
	case v.user == 0 && v.hasAccount() && v.happens(LoginShare):
		logIn = v.IntN(screens)
	}
	for i := range screens {
		v.wait(500, 40*second)
		v.show()
		if i == logIn {
			v.wait(5*second, 40*second)
			v.logIn()
		}
		switch {
		case i == screens-1:
		case coffee && v.happens(1.5/float64(screens)):
			v.leave(5*minute, 28*minute)
		case glance && v.happens(1.5/float64(screens)):
			v.leave(10*second, 4*minute)
		}
	}
	if v.user == v.member() && v.happens(OrderShare) {
		v.purchase()
	}
	if v.user == v.member() && logOut {
		v.wait(3*second, 60*second)
		v.logOut()
		v.wait(300, 2*second)
		v.do(actHome)
	}
	v.wait(second, 40*second)
	v.do(actBackgrounded)
}

// open starts the app, or brings it to the foreground. After an install or an update,
// Application Installed or Application Updated comes before Application Opened.
func (v *visit) open(cold bool) {
	v.foreground(v.clock.read(v.t))
	opened := actForeground
	if cold {
		opened = actColdStart
		switch {
		case !v.installed:
			v.do(actInstalled)
			v.wait(2, 200)
		case v.happens(UpdatedShare):
			v.do(actUpdated)
			v.wait(2, 200)
		}
	}
	v.installed = true
	v.do(opened)
}

// leave puts the app into the background for a while.
func (v *visit) leave(least, most int64) {
	v.wait(second, 20*second)
	v.do(actBackgrounded)
	v.wait(least, most)
	v.open(v.happens(0.1))
}

// show is a screen view, and what people do on the screen.
func (v *visit) show() {
	v.choose()
	switch x := v.Float64(); {
	case x < 0.35:
		v.do(actListing)
		v.wait(20, 400)
		v.do(actListViewed)
	case x < 0.45:
		v.do(actSearch)
		v.wait(2*second, 10*second)
		v.do(actSearched)
	default:
		v.do(actProduct)
		v.consider()
	}
}

func (v *visit) purchase() {
	v.wait(2*second, 20*second)
	v.do(actCart)
	v.wait(4*second, 50*second)
	v.do(actCheckoutStarted)
	v.wait(10*second, 90*second)
	v.do(actCompleted)
	v.order()
}

const (
	batchEvents = 30          // events in a batch at most
	batchWait   = 10 * second // how long an event waits for others at most
)

// sendBatches sends an app's events in batches, one after the other, when there is a
// network.
func (v *visit) sendBatches() {
	queue := v.made
	if v.happens(FirstLostShare) {
		queue = queue[1:]
	}
	queue = append(append([]*event(nil), v.held...), queue...)
	v.held = v.held[:0]
	hold := v.happens(HeldShare)
	for len(queue) > 0 {
		sent := max(v.free, v.offline, v.begun, queue[0].at+between(v.Rand, 0, batchWait))
		if len(queue) >= batchEvents {
			sent = min(sent, max(v.free, v.offline, v.begun, queue[batchEvents-1].at))
		}
		n := 1
		for n < min(len(queue), batchEvents) && queue[n].at <= sent {
			n++
		}
		if n == len(queue) && hold {
			v.held = append(v.held, queue...)
			return
		}
		v.post(queue[:n], sent)
		queue = queue[n:]
	}
}

// post sends a batch until it is answered.
func (v *visit) post(batch []*event, sent int64) {
	for attempt := range retries {
		last := attempt == retries-1
		latency := v.requestLatency(v.Rand)
		lost := !last && v.happens(2*LostShare)
		if !lost {
			for _, e := range batch {
				v.generator.deliver(e, sent+latency, v.clock.read(sent))
			}
		}
		v.free = sent + latency + v.requestLatency(v.Rand)
		if !lost && (last || !v.happens(2*UnansweredShare)) {
			return
		}
		sent = v.free + 3*second<<attempt
	}
}
