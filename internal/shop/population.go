package shop

// Start and End bound the month, in Unix milliseconds: visits begin in it, and
// deliveries may come later.
const (
	Start = 1_790_812_800_000 // 2026-10-01T00:00:00Z
	Days  = 30
	End   = Start + Days*day

	second = 1000
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// VisitTimeout is the longest pause within a visit.
const VisitTimeout = 30 * minute

// Who visits the shop. Shares are fractions of 1.
const (
	// CoupleShare and FamilyShare are how many households have two and three people,
	// who use one computer. All others live alone.
	CoupleShare = 0.12
	FamilyShare = 0.04
	// ComputerShare is how many people have a browser that they visit with (a
	// shared one counts once), AppShare how many have the app.
	ComputerShare = 0.80
	AppShare      = 0.42
	// SharedAppShare is how many of the apps of those who do not live alone are on
	// a tablet that all of them use.
	SharedAppShare = 0.40
	// AccountShare is how many people have an account, LoginShare in how many
	// visits they log in if they are not logged in.
	AccountShare = 0.55
	LoginShare   = 0.45
	// LoggedInShare is on how many devices of somebody with an account they are
	// logged in when the month begins.
	LoggedInShare = 0.50
	// LogoutShare is in how many visits those who are logged in log out of a browser
	// of their own, AppLogoutShare of an app, SharedLogoutShare on a device that they
	// share.
	LogoutShare       = 0.05
	AppLogoutShare    = 0.01
	SharedLogoutShare = 0.40
)

// KindShare is how many of the browsers, or of the apps, are of each kind.
var KindShare = [kinds]float64{
	WebV3: 0.72, WebV1: 0.14, WebBlocked: 0.06, WebOff: 0.08,
	AndroidJava: 0.30, IOS: 0.28, Kotlin: 0.22, Swift: 0.12, AppOff: 0.08,
}

// What people do. Shares are of visits unless said otherwise.
const (
	// CoffeeShare is in how many visits somebody pauses for 5 to 29 minutes, once
	// or more.
	CoffeeShare = 0.15
	// GlanceShare is in how many visits of an app somebody leaves it for 10 s to 4
	// minutes.
	GlanceShare = 0.35
	// TwoTabsShare is how many visits on the web have two tabs. In half of these, both
	// tabs are opened at once.
	TwoTabsShare = 0.12
	// ReturnShare is how many visits are followed by another one after 31 minutes
	// to 3 hours.
	ReturnShare = 0.20
	// OrderShare is in how many visits of somebody who is logged in they order.
	OrderShare = 0.25
	// ColdShare is how many visits to an app start it anew; InstalledShare is how
	// many apps are installed in this month; UpdatedShare is how many cold starts
	// follow an update.
	ColdShare      = 0.45
	InstalledShare = 0.30
	UpdatedShare   = 0.05
)

// What goes wrong.
const (
	// OfflineShare is how many visits to an app begin without a network, for 5
	// minutes to 10 hours.
	OfflineShare = 0.08
	// HeldShare is how many visits to an app leave their last batch to the next
	// start of the app.
	HeldShare = 0.04
	// FirstLostShare is how many of an app's visits lose their first event: the app
	// was killed before it was stored.
	FirstLostShare = 0.015
	// KilledShare is in how many visits on the web a page is closed before one of its
	// events is sent. Half of these events are lost; the SDK sends the others from the
	// next page, 11 to 20 seconds later or at the next visit.
	KilledShare = 0.02
	// LostShare is how many requests never arrive and are sent again; UnansweredShare
	// is how many arrive and are sent again; ReconnectShare (on the web) is how many
	// the browser itself sends twice, with the same sentAt. For the batches of apps and
	// of the backend, the shares are twice as large.
	LostShare       = 0.007
	UnansweredShare = 0.005
	ReconnectShare  = 0.002
	// ClockMinuteShare is how many clocks are off by about a minute, ClockDayShare
	// by up to a day, ClockYearsShare by up to ten years; the others are off by about
	// half a second. ClockSetShare is how many are set right in the course of the
	// month.
	ClockMinuteShare = 0.20
	ClockDayShare    = 0.05
	ClockYearsShare  = 0.01
	ClockSetShare    = 0.03
)

// The backend.
const (
	// BackendAnonymousShare is how many of the backend's events of orders carry the
	// anonymousId of the browser or app as well.
	BackendAnonymousShare = 0.30
	// BackendJavaShare is how many come from its Java service, the others from
	// Node.js.
	BackendJavaShare = 0.35
)
