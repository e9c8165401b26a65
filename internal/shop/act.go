package shop

// act is something that a person does, or that the backend reports.
type act uint8

const (
	actIdentify act = iota
	// Pages, in an app screens.
	actHome
	actListing
	actSearch
	actProduct
	actCart
	actCheckout
	actThanks
	// Tracks.
	actListViewed
	actFiltered
	actSearched
	actViewed
	actAdded
	actCartViewed
	actCheckoutStarted
	actCompleted
	actSignedOut
	// An app's own.
	actInstalled
	actUpdated
	actColdStart
	actForeground
	actBackgrounded
	// The backend's.
	actPaymentAccepted
	actOrderPaid
	actOrderShipped
	actOrderDelivered
)

// actNames are the names of pages, screens and tracked events.
var actNames = [...]string{
	actHome: "Home", actListing: "Category", actSearch: "Search", actProduct: "Product", actCart: "Cart",
	actCheckout: "Checkout", actThanks: "Order Confirmation",
	actListViewed: "Product List Viewed", actFiltered: "Product List Filtered", actSearched: "Products Searched",
	actViewed: "Product Viewed", actAdded: "Product Added", actCartViewed: "Cart Viewed",
	actCheckoutStarted: "Checkout Started", actCompleted: "Order Completed", actSignedOut: "Signed Out",
	actInstalled: "Application Installed", actUpdated: "Application Updated",
	actColdStart: "Application Opened", actForeground: "Application Opened",
	actBackgrounded:    "Application Backgrounded",
	actPaymentAccepted: "Payment Accepted", actOrderPaid: "Order Paid",
	actOrderShipped: "Order Shipped", actOrderDelivered: "Order Delivered",
}

// page reports whether the act is a page view, or in an app a screen view.
func (a act) page() bool { return a >= actHome && a <= actThanks }
