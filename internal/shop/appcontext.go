package shop

// appSDKs are the names and versions that the SDKs of apps send.
var appSDKs = [kinds]struct{ name, version string }{
	AndroidJava: {"com.rudderstack.android.sdk.core", "1.28.0"},
	AppOff:      {"com.rudderstack.android.sdk.core", "1.21.3"},
	Kotlin:      {"com.rudderstack.sdk.kotlin.android", "1.6.0"},
	IOS:         {"rudder-ios-library", "1.31.1"},
	Swift:       {"rudder-sdk-swift", "1.3.0"},
}

// phone is a model of a phone or a tablet.
type phone struct {
	manufacturer, model, name, os string
	width, height, density        int64
	agent                         string
}

var (
	androids = [...]phone{
		{"samsung", "SM-S931B", "pa1q", "16", 1080, 2340, 480, "Dalvik/2.1.0 (Linux; U; Android 16; SM-S931B Build/BP2A.250605.031)"},
		{"samsung", "SM-A556B", "a55x", "15", 1080, 2340, 450, "Dalvik/2.1.0 (Linux; U; Android 15; SM-A556B Build/AP3A.240905.015)"},
		{"Google", "Pixel 9", "tokay", "16", 1080, 2424, 420, "Dalvik/2.1.0 (Linux; U; Android 16; Pixel 9 Build/BP3A.250905.014)"},
		{"Xiaomi", "23117RA68G", "emerald", "14", 1080, 2400, 440, "Dalvik/2.1.0 (Linux; U; Android 14; 23117RA68G Build/UP1A.230905.011)"},
		{"motorola", "moto g54 5G", "cancunf", "14", 1080, 2400, 400, "Dalvik/2.1.0 (Linux; U; Android 14; moto g54 5G Build/U1TDS34.94)"},
	}
	iphones = [...]phone{
		{"Apple", "iPhone17,3", "iPhone", "26.1", 393, 852, 3, ""},
		{"Apple", "iPhone15,4", "iPhone", "26.0.1", 393, 852, 3, ""},
		{"Apple", "iPhone14,7", "iPhone", "18.7", 390, 844, 3, ""},
		{"Apple", "iPad14,8", "iPad", "26.1", 820, 1180, 2, ""},
	}
	carriers = [...]string{"Telekom.de", "Vodafone", "Orange", "T-Mobile", "Airtel", "NTT DOCOMO", "Telstra", ""}
)

func (k Kind) apple() bool { return k == IOS || k == Swift }

// phone is the device's model, and the name of its system.
func (d *device) phone() (p *phone, system string) {
	if d.kind.apple() {
		return &iphones[d.seed>>3%uint64(len(iphones))], "iOS"
	}
	return &androids[d.seed>>3%uint64(len(androids))], "Android"
}

func appendAppContext(b []byte, e *event) []byte {
	d := e.device
	phone, system := d.phone()
	sdk, zone := &appSDKs[d.kind], &zones[d.home.zone]
	h := mix(d.seed ^ uint64(e.id.Visit))
	b = append(b, `{"app":{"build":"4120","name":"Example Shop","namespace":"com.example.shop","version":"4.12.0"},"device":{`...)
	if !d.kind.apple() {
		b = append(b, `"adTrackingEnabled":false,`...)
	}
	b = append(b, `"id":"`...)
	b = appendUUID(b, randomUUID(d.seed+5))
	b = append(b, '"', ',')
	b = text(b, "manufacturer", phone.manufacturer)
	b = text(b, "model", phone.model)
	b = text(b, "name", phone.name)
	b = text(b, "type", system)
	b = append(closed(b), ',')
	b = append(b, `"library":{`...)
	b = text(b, "name", sdk.name)
	b = text(b, "version", sdk.version)
	b = append(closed(b), ',')
	b = text(b, "locale", zone.locale)
	b = append(b, `"network":{"bluetooth":false,`...)
	b = text(b, "carrier", carriers[d.seed>>13%uint64(len(carriers))])
	if h&3 == 0 {
		b = append(b, `"cellular":true,"wifi":false},"os":{`...)
	} else {
		b = append(b, `"cellular":false,"wifi":true},"os":{`...)
	}
	b = text(b, "name", system)
	b = text(b, "version", phone.os)
	b = append(closed(b), ',')
	b = append(b, `"screen":{`...)
	b = number(b, "density", phone.density)
	b = number(b, "height", phone.height)
	b = number(b, "width", phone.width)
	b = append(closed(b), ',')
	b = e.appendSession(b)
	b = text(b, "timezone", zone.name)
	b = e.appendTraits(b)
	if phone.agent != "" {
		b = text(b, "userAgent", phone.agent)
	}
	return closed(b)
}
