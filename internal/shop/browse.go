package shop

// browse is a visit on the web: pages, in one or two tabs.
func (v *visit) browse() {
	tabs := v.openTabs()
	coffee := v.happens(CoffeeShare)
	logIn, logOut := -1, v.happens(v.logoutShare())
	pages := 1 + geometric(v.Rand, 3)
	switch {
	case v.user != 0 && v.user != v.member():
		// Somebody else is logged in. A person with an account logs in at once, or logs
		// the other one out first; a person without one uses the shop as it is.
		if v.hasAccount() {
			v.page(actHome)
			v.wait(4*second, 30*second)
			if v.happens(0.5) {
				v.logOut()
				v.wait(300, 2000)
				v.page(actHome)
				v.wait(4*second, 30*second)
			}
			v.logIn()
			v.wait(300, 3000)
		}
	case v.user == 0 && v.hasAccount() && v.kind != WebBlocked && v.happens(LoginShare):
		logIn = v.IntN(pages)
	}
	for i := range pages {
		if tabs > 1 && i > 0 {
			v.tab = v.IntN(tabs)
		}
		v.view(i == 0)
		if i == logIn {
			v.wait(5*second, 40*second)
			v.logIn()
		}
		if i == pages-1 {
			break
		}
		v.wait(2*second, 60*second)
		if coffee && v.happens(1.5/float64(pages)) {
			v.wait(5*minute, 28*minute)
		}
	}
	if v.user == v.member() && v.happens(OrderShare) {
		v.buy()
	}
	if v.user == v.member() && logOut {
		v.wait(3*second, 60*second)
		v.logOut()
		v.wait(300, 2000)
		v.page(actHome)
	}
}

// openTabs opens the first tab, sometimes a second one, and returns how many.
func (v *visit) openTabs() int {
	tabs := 1
	if v.happens(TwoTabsShare) {
		tabs = 2
	}
	if v.kind != WebV1 {
		return tabs
	}
	v.openTab(0, v.clock.read(v.t), false)
	if tabs == 1 {
		return 1
	}
	// The second tab of two that are opened together may find no stored session, or
	// the first tab's before its start mark was sent. A tab that is opened later finds
	// the session without a mark.
	unwritten := v.happens(0.25)
	atOnce := unwritten || v.happens(0.33)
	if !atOnce {
		v.page(actHome)
		v.wait(2*second, 60*second)
	}
	v.openTab(1, v.clock.read(v.t+between(v.Rand, 1, 40)), unwritten)
	if atOnce {
		v.page(actHome)
		v.wait(1, 60)
		v.tab = 1
		v.page(actHome)
	}
	return tabs
}

// page loads a page.
func (v *visit) page(a act) {
	v.loadPage(v.clock.read(v.t))
	v.do(a)
}

// view loads a page, and does what people do on it.
func (v *visit) view(first bool) {
	if first && v.happens(0.5) {
		v.page(actHome)
		v.wait(500, 20*second)
	}
	v.choose()
	switch x := v.Float64(); {
	case x < 0.30:
		v.page(actListing)
		v.wait(20, 400)
		v.do(actListViewed)
		if v.happens(0.4) {
			v.wait(2*second, 30*second)
			v.do(actFiltered)
		}
	case x < 0.42:
		v.page(actSearch)
		v.wait(20, 400)
		v.do(actSearched)
	default:
		v.page(actProduct)
		v.consider()
	}
}

// consider decides what follows from viewing a product.
func (v *visit) consider() {
	v.wait(5, 300)
	v.do(actViewed)
	if v.happens(0.22) {
		v.wait(3*second, 60*second)
		v.do(actAdded)
	}
}

// buy turns the cart into an order.
func (v *visit) buy() {
	for _, step := range [...]struct {
		page, track act
	}{{actCart, actCartViewed}, {actCheckout, actCheckoutStarted}, {actThanks, actCompleted}} {
		v.wait(4*second, 50*second)
		v.page(step.page)
		v.wait(5, 300)
		v.do(step.track)
	}
	v.order()
}

// sendRequests sends a browser's events, each as its own request.
func (v *visit) sendRequests() {
	for _, e := range v.held {
		v.request(e, v.begun+between(v.Rand, 11*second, 20*second))
	}
	v.held = v.held[:0]
	killed := -1
	if v.happens(KilledShare) {
		killed = v.IntN(len(v.made))
	}
	for i, e := range v.made {
		sent := e.at + between(v.Rand, 0, 3)
		if i == killed {
			if v.kind == WebBlocked || v.happens(0.5) {
				continue
			}
			if sent += between(v.Rand, 11*second, 20*second); sent > v.t {
				v.held = append(v.held, e)
				continue
			}
		}
		v.request(e, sent)
	}
}

func (v *visit) request(e *event, sent int64) {
	for attempt := range retries {
		last := attempt == retries-1
		shown := v.clock.read(sent)
		latency := v.requestLatency(v.Rand)
		lost := !last && v.happens(LostShare)
		if !lost {
			v.generator.deliver(e, sent+latency, shown)
		}
		if v.happens(ReconnectShare) {
			again := sent + latency + v.requestLatency(v.Rand)
			v.generator.deliver(e, again, shown)
		}
		if !lost && (last || !v.happens(UnansweredShare)) {
			return
		}
		sent += 2*latency + 2*second<<attempt
	}
}
