package shop

import "strconv"

// appendProperties appends the properties of an event, in the form of the e-commerce
// events in RudderStack's documentation.
func appendProperties(b []byte, e *event) []byte {
	p := productOf(e.product)
	b = append(b, '{')
	switch e.act {
	case actHome, actListing, actSearch, actProduct, actCart, actCheckout, actThanks:
		b = text(b, "category", p.category)
		if e.device.kind.app() {
			b = text(b, "name", actNames[e.act])
		} else {
			b = appendPage(b, e, actNames[e.act])
		}
	case actListViewed, actFiltered:
		b = text(b, "category", p.category)
		b = text(b, "list_id", "cat-"+p.category)
		if e.act == actFiltered {
			b = append(b, `"filters":[{"type":"colour","value":"`...)
			b = append(b, p.colour...)
			b = append(b, `"}],"sorts":[{"type":"price","value":"asc"}],`...)
		}
		b = append(b, `"products":[`...)
		for i := range uint32(4) {
			q := productOf(e.product + i*37)
			b = append(b, '{')
			b = q.append(b, int64(i)+1)
			b = append(closed(b), ',')
		}
		b[len(b)-1] = ']'
		b = append(b, ',')
	case actSearched:
		b = append(b, `"query":"`...)
		b = appendSlug(b, p.adjective)
		b = append(b, ' ')
		b = appendSlug(b, p.name)
		b = append(b, `","results":`...)
		b = strconv.AppendUint(b, mix(uint64(e.product))%240, 10)
		b = append(b, ',')
	case actViewed, actAdded:
		b = append(b, `"currency":"EUR","image_url":"https://cdn.example-shop.com/img`...)
		b = p.appendPath(b, actProduct)
		b = append(b, `.webp",`...)
		b = p.append(b, 1)
		b = price(b, "value", p.cents)
	case actCartViewed, actCheckoutStarted, actCompleted, actPaymentAccepted, actOrderPaid, actOrderShipped, actOrderDelivered:
		b = appendOrder(b, e)
	case actInstalled, actUpdated:
		b = append(b, `"build":4120,"version":"4.12.0",`...)
	case actColdStart:
		b = append(b, `"from_background":false,"version":"4.12.0",`...)
	case actForeground:
		b = append(b, `"from_background":true,`...)
	case actSignedOut:
		b = text(b, "method", "menu")
	}
	return closed(b)
}

// append appends a product's properties.
func (p *product) append(b []byte, position int64) []byte {
	b = text(b, "brand", p.brand)
	b = text(b, "category", p.category)
	b = append(b, `"name":"`...)
	b = p.appendName(b)
	b = append(b, '"', ',')
	b = number(b, "position", position)
	b = price(b, "price", p.cents)
	b = append(b, `"product_id":"`...)
	b = strconv.AppendUint(b, uint64(p.number), 10)
	b = append(b, `","quantity":1,"sku":"SKU-`...)
	b = strconv.AppendUint(b, uint64(p.number), 10)
	b = append(b, '-', p.colour[0]-'a'+'A')
	b = append(b, '"', ',')
	return text(b, "variant", p.colour)
}

// appendOrder appends a cart or an order: one to three products and their prices.
func appendOrder(b []byte, e *event) []byte {
	h := mix(uint64(e.product) + 3)
	total, items := int64(0), uint32(1+h%3)
	b = append(b, `"affiliation":"web","currency":"EUR","order_id":"`...)
	b = strconv.AppendUint(b, 700_000_000+h>>8%90_000_000, 10)
	b = append(b, `","products":[`...)
	for i := range items {
		q := productOf(e.product + i*101)
		total += q.cents
		b = append(b, '{')
		b = q.append(b, int64(i)+1)
		b = append(closed(b), ',')
	}
	b[len(b)-1] = ']'
	b = append(b, ',')
	if e.id.Backend {
		b = text(b, "provider", [...]string{"adyen", "stripe", "paypal", "klarna"}[h>>40%4])
	}
	b = price(b, "shipping", 495)
	b = price(b, "tax", total*19/119)
	return price(b, "total", total+495)
}
