package shop

import "strconv"

// appendSession appends the SDK's session fields.
func (e *event) appendSession(b []byte) []byte {
	if e.session != 0 {
		b = number(b, "sessionId", e.session)
	}
	if e.start {
		b = append(b, `"sessionStart":true,`...)
	}
	return b
}

var (
	forenames = [...]string{"Anna", "Ben", "Carla", "David", "Elif", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kaja", "Luca", "Mia", "Noah", "Olga", "Paulo"}
	surnames  = [...]string{"Schmidt", "Novak", "Rossi", "Dubois", "Garcia", "Kowalski", "Silva", "Tanaka", "Patel", "Jones", "Larsen", "Weber", "Martin", "Costa", "Brown", "Nguyen"}
	plans     = [...]string{"basic", "plus", "gold"}
)

// appendTraits appends the traits of the user who is logged in.
func (e *event) appendTraits(b []byte) []byte {
	b = append(b, `"traits":{`...)
	if e.user != 0 {
		h := mix(uint64(e.user))
		forename, surname := forenames[h%16], surnames[h>>4%16]
		b = append(b, `"email":"`...)
		b = appendSlug(b, forename)
		b = append(b, '.')
		b = appendSlug(b, surname)
		b = strconv.AppendInt(b, int64(e.user), 10)
		b = append(b, `@example.com",`...)
		b = text(b, "firstName", forename)
		b = text(b, "lastName", surname)
		b = text(b, "plan", plans[h>>8%3])
	}
	return append(closed(b), ',')
}

var userAgents = [...]string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/155.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (X11; Linux x86_64; rv:148.0) Gecko/20100101 Firefox/148.0",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:148.0) Gecko/20100101 Firefox/148.0",
}

var windows = [...][2]int64{{1920, 1080}, {1536, 864}, {1440, 900}, {2560, 1440}, {1366, 768}, {390, 844}, {412, 915}}

// referrers are where visitors come from.
var referrers = [...][2]string{
	{"$direct", ""}, {"https://www.google.com/", "www.google.com"}, {"https://www.bing.com/", "www.bing.com"},
	{"https://l.instagram.com/", "l.instagram.com"}, {"https://duckduckgo.com/", "duckduckgo.com"},
}

var campaigns = [...]string{
	`"campaign":{},`, `"campaign":{},`, `"campaign":{},`, `"campaign":{},`,
	`"campaign":{"medium":"email","name":"autumn-sale","source":"newsletter"},`,
	`"campaign":{"content":"carousel-2","medium":"cpc","name":"brand-eu","source":"google"},`,
}

const shopURL = "https://www.example-shop.com"

func appendWebContext(b []byte, e *event) []byte {
	d := e.device
	version := `3.34.1`
	if d.kind == WebV1 || d.kind == WebOff && d.seed&1 == 0 {
		version = `2.52.21`
	}
	zone := &zones[d.home.zone]
	window := windows[d.seed>>9%uint64(len(windows))]
	b = append(b, `{"app":{"installType":"cdn","name":"RudderLabs JavaScript SDK","namespace":"com.rudderlabs.javascript",`...)
	b = text(b, "version", version)
	b = append(closed(b), ',')
	b = append(b, campaigns[mix(d.seed^uint64(e.id.Visit))%uint64(len(campaigns))]...)
	b = append(b, `"library":{"name":"RudderLabs JavaScript SDK",`...)
	b = text(b, "version", version)
	b = append(closed(b), ',')
	b = text(b, "locale", zone.locale)
	b = append(b, `"os":{"name":"","version":""},"page":{`...)
	b = appendPage(b, e, "")
	b = append(closed(b), ',')
	b = append(b, `"screen":{"density":`...)
	b = strconv.AppendUint(b, 1+d.seed>>12%2, 10)
	b = append(b, ',')
	b = number(b, "height", window[1])
	b = number(b, "innerHeight", window[1]-int64(d.seed>>20%160))
	b = number(b, "innerWidth", window[0])
	b = number(b, "width", window[0])
	b = append(closed(b), ',')
	b = e.appendSession(b)
	b = text(b, "timezone", zone.gmt)
	b = e.appendTraits(b)
	b = text(b, "userAgent", userAgents[d.seed>>3%uint64(len(userAgents))])
	return closed(b)
}

// appendPage appends the properties of the page on which an event is made, and its name
// unless that is empty.
func appendPage(b []byte, e *event, name string) []byte {
	p := productOf(e.product)
	page := e.act.on()
	from := &referrers[mix(e.device.seed+uint64(e.id.Visit))%uint64(len(referrers))]
	url := func(b []byte, name string, tail string) []byte {
		b = key(b, name)
		b = append(b, '"')
		b = append(b, shopURL...)
		b = p.appendPath(b, page)
		return append(append(b, tail...), '"', ',')
	}
	b = text(b, "initial_referrer", from[0])
	b = text(b, "initial_referring_domain", from[1])
	if name != "" {
		b = text(b, "name", name)
	}
	b = append(b, `"path":"`...)
	b = p.appendPath(b, page)
	b = append(b, '"', ',')
	if e.id.Number == 1 {
		b = text(b, "referrer", from[0])
		b = text(b, "referring_domain", from[1])
	} else {
		b = text(b, "referrer", shopURL+"/")
		b = text(b, "referring_domain", "www.example-shop.com")
	}
	query := ""
	if page == actSearch {
		query = "?q=" + p.name[:3]
	}
	b = text(b, "search", query)
	b = url(b, "tab_url", query)
	b = append(b, `"title":"`...)
	if page == actProduct {
		b = p.appendName(b)
	} else {
		b = append(b, actNames[page]...)
	}
	b = append(b, ` | Example Shop",`...)
	return url(b, "url", query)
}

// on is the page on which an act happens.
func (a act) on() act {
	switch {
	case a.page():
		return a
	case a == actListViewed || a == actFiltered:
		return actListing
	case a == actSearched:
		return actSearch
	case a == actViewed || a == actAdded:
		return actProduct
	case a == actCartViewed:
		return actCart
	case a == actCheckoutStarted:
		return actCheckout
	case a == actCompleted:
		return actThanks
	}
	return actHome
}

func appendServerContext(b []byte, e *event) []byte {
	if e.java {
		return append(b, `{"ip":"10.4.17.22","library":{"name":"analytics-java","version":"3.1.2"},"service":{"name":"fulfilment","region":"eu-central-1","version":"2026.10.2"},"timezone":"UTC"}`...)
	}
	return append(b, `{"ip":"10.4.17.22","library":{"name":"analytics-node","version":"3.0.13"},"service":{"name":"orders","region":"eu-central-1","version":"1.48.0"}}`...)
}
