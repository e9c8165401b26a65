package shop

import (
	"crypto/md5"
	"strconv"
)

// The write keys of the shop's sources.
const (
	WebKey     = "2nZqWebShopSourceKey00000001"
	AppKey     = "2nZqAppShopSourceKey00000002"
	BackendKey = "2nZqBackendSourceKey00000003"
)

// appendLine appends a delivery as an object-storage destination writes it: a JSON
// object with sorted keys, as the data plane marshals maps.
func appendLine(b []byte, d *delivery) []byte {
	e := d.event
	if e.findVisit {
		e.findVisit = false
		if on, visit := e.home.visitOf(int(e.user)-1, e.at); on != nil {
			e.id.Device, e.id.Kind, e.id.Visit = on.number, on.kind, visit
		} else {
			e.id.Device, e.id.Visit = 0, 0
		}
	}
	server, app := e.id.Backend, e.device.kind.app()
	b = append(b, '{')
	if !server || e.named {
		b = key(b, "anonymousId")
		b = append(b, '"')
		b = e.appendAnonymousID(b)
		b = append(b, '"', ',')
	}
	switch {
	case server:
		b = text(b, "channel", "server")
		b = key(b, "context")
		b = appendServerContext(b, e)
	case app:
		b = text(b, "channel", "mobile")
		b = key(b, "context")
		b = appendAppContext(b, e)
	default:
		b = text(b, "channel", "web")
		b = key(b, "context")
		b = appendWebContext(b, e)
	}
	b = append(b, ',')
	kind := "track"
	switch {
	case e.act == actIdentify:
		kind = "identify"
	case e.act.page() && app:
		kind = "screen"
		b = text(b, "event", actNames[e.act])
	case e.act.page():
		kind = "page"
	default:
		b = text(b, "event", actNames[e.act])
	}
	b = append(b, `"integrations":{"All":true},"messageId":"`...)
	b = e.id.Append(b)
	b = append(b, '"', ',')
	if kind == "page" {
		b = text(b, "name", actNames[e.act])
	}
	b = stamp(b, "originalTimestamp", e.made)
	if e.act != actIdentify {
		b = key(b, "properties")
		b = appendProperties(b, e)
		b = append(b, ',')
	}
	b = stamp(b, "receivedAt", d.received)
	b = key(b, "request_ip")
	b = append(b, '"')
	b = e.appendAddress(b)
	b = append(b, `","rudderId":"`...)
	b = e.appendRudderID(b)
	b = append(b, '"', ',')
	b = stamp(b, "sentAt", d.sent)
	if e.java {
		b = stamp(b, "timestamp", e.made)
	} else {
		b = stamp(b, "timestamp", d.received-(d.sent-e.made))
	}
	b = text(b, "type", kind)
	switch {
	case e.user != 0:
		b = key(b, "userId")
		b = append(b, '"')
		b = appendUserID(b, int(e.user))
		b = append(b, '"', ',')
	case !server && !app:
		b = append(b, `"userId":"",`...) // as JavaScript SDKs do
	}
	switch {
	case server:
		b = text(b, "writeKey", BackendKey)
	case app:
		b = text(b, "writeKey", AppKey)
	default:
		b = text(b, "writeKey", WebKey)
	}
	return append(closed(b), '\n')
}

// appendAnonymousID appends the device's id, which is derived from its seed.
func (e *event) appendAnonymousID(b []byte) []byte {
	return appendUUID(b, randomUUID(e.device.seed^mix(uint64(e.renamed))))
}

// appendUserID appends the userId of a user, whose number is from 1.
func appendUserID(b []byte, user int) []byte {
	return strconv.AppendInt(append(b, "cus_"...), int64(10_000_000+user), 10)
}

// appendAddress appends the address that requests come from.
func (e *event) appendAddress(b []byte) []byte {
	if e.id.Backend {
		return append(b, "10.4.17.22"...)
	}
	x := e.device.seed
	for i, least := range [...]uint64{11, 0, 0, 1} {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendUint(b, least+x>>(12*i)%200, 10)
	}
	return b
}

// appendRudderID appends the rudderId that the data plane derives from both ids.
func (e *event) appendRudderID(b []byte) []byte {
	var ids [64]byte
	joined := ids[:0]
	if e.user != 0 {
		joined = appendUserID(joined, int(e.user))
	}
	joined = append(joined, ':')
	if !e.id.Backend || e.named {
		joined = e.appendAnonymousID(joined)
	}
	return appendUUID(b, md5.Sum(joined))
}
