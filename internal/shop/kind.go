package shop

// Kind is the SDK of a device and the way in which it tracks sessions.
type Kind uint8

const (
	// WebV3 is the JavaScript SDK 3: one session for all tabs, in shared storage,
	// that ends after 30 minutes without an event. Ids are milliseconds.
	WebV3 Kind = iota
	// WebV1 is the JavaScript SDK 1.1 in a single-page shop: each tab keeps its
	// session in memory, and reads the stored one only when it is opened. Tabs
	// that are opened at once have two ids, or two start marks for one.
	WebV1
	// WebBlocked is the JavaScript SDK 3 without storage: each page load has a
	// new session and a new anonymousId.
	WebBlocked
	// WebOff is a JavaScript SDK with automatic tracking off: no ids.
	WebOff
	// AndroidJava and IOS are the older native SDKs: a session ends after 5 minutes
	// without an event, but they only check that when the app is started or comes to
	// the foreground. identify with another user changes nothing. Ids are seconds.
	AndroidJava
	IOS
	// Kotlin and Swift are the newer native SDKs: identify with another user and
	// reset() begin a session and change the anonymousId.
	Kotlin
	Swift
	// AppOff is AndroidJava with automatic tracking off: no ids.
	AppOff

	kinds
)

var kindNames = [kinds]string{
	"web v3", "web v1.1", "web, no storage", "web, tracking off",
	"Android (Java)", "iOS (ObjC)", "Android (Kotlin)", "iOS (Swift)", "app, tracking off",
}

func (k Kind) String() string { return kindNames[k] }

func (k Kind) app() bool { return k >= AndroidJava }

// resets reports whether identify with another user is a reset().
func (k Kind) resets() bool {
	return k == WebV3 || k == WebV1 || k == WebBlocked || k == Kotlin || k == Swift
}

// renames reports whether reset() changes the anonymousId.
func (k Kind) renames() bool { return k == Kotlin || k == Swift }
