package shop

import "strconv"

var (
	adjectives = [...]string{
		"Classic", "Merino", "Organic", "Recycled", "Lightweight", "Waterproof", "Vintage", "Slim", "Oversized",
		"Nordic", "Alpine", "Urban", "Handmade", "Quilted", "Brushed", "Ceramic", "Walnut", "Linen", "Foldable",
		"Insulated", "Everyday", "Limited", "Compact", "Striped",
	}
	goods = [...]struct{ name, category string }{
		{"Jacket", "Outdoor"}, {"Sweater", "Clothing"}, {"T-Shirt", "Clothing"}, {"Backpack", "Outdoor"},
		{"Boots", "Shoes"}, {"Sneakers", "Shoes"}, {"Mug", "Kitchen"}, {"Teapot", "Kitchen"}, {"Desk Lamp", "Home"},
		{"Blanket", "Home"}, {"Cushion", "Home"}, {"Notebook", "Stationery"}, {"Fountain Pen", "Stationery"},
		{"Water Bottle", "Outdoor"}, {"Raincoat", "Clothing"}, {"Beanie", "Accessories"}, {"Scarf", "Accessories"},
		{"Wallet", "Accessories"}, {"Frying Pan", "Kitchen"}, {"Chef's Knife", "Kitchen"}, {"Sleeping Bag", "Outdoor"},
		{"Headphones", "Electronics"}, {"Speaker", "Electronics"}, {"Bath Towel", "Home"},
	}
	brands  = [...]string{"Fjordline", "Kestrel & Co", "Halden", "Moss", "Tarn", "Juniper", "Ostra", "Pilgrim", "Vela"}
	colours = [...]string{"black", "navy", "olive", "sand", "rust", "white", "charcoal", "moss green"}
)

// product is a product of the shop, derived from its number.
type product struct {
	number          uint32
	adjective, name string
	category        string
	brand, colour   string
	cents           int64
}

// productOf maps a random number to one of 8,000 products, to some far more often than
// to others.
func productOf(drawn uint32) product {
	x := uint64(drawn) % 8000
	x = x * x / 8000
	h := mix(x + 77)
	g := &goods[h>>8%uint64(len(goods))]
	p := product{
		number:    uint32(10_000 + x),
		adjective: adjectives[h>>16%uint64(len(adjectives))], name: g.name, category: g.category,
		brand: brands[h>>24%uint64(len(brands))], colour: colours[h>>32%uint64(len(colours))],
		cents: int64(h>>40%200)*100 + 995,
	}
	return p
}

// appendSlug appends a name as part of a URL.
func appendSlug(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b = append(b, c)
		case c == ' ' || c == '-':
			b = append(b, '-')
		}
	}
	return b
}

// appendName appends a product's name.
func (p *product) appendName(b []byte) []byte {
	b = append(b, p.brand...)
	b = append(b, ' ')
	b = append(b, p.adjective...)
	b = append(b, ' ')
	return append(b, p.name...)
}

// appendPath appends the path of the page of a kind for a product.
func (p *product) appendPath(b []byte, page act) []byte {
	switch page {
	case actListing:
		b = append(b, "/c/"...)
		b = appendSlug(b, p.category)
	case actSearch:
		b = append(b, "/search"...)
	case actProduct:
		b = append(b, "/p/"...)
		b = appendSlug(b, p.adjective)
		b = append(b, '-')
		b = appendSlug(b, p.name)
		b = append(b, '-')
		b = strconv.AppendUint(b, uint64(p.number), 10)
	case actCart:
		b = append(b, "/cart"...)
	case actCheckout:
		b = append(b, "/checkout/payment"...)
	case actThanks:
		b = append(b, "/checkout/thank-you"...)
	default:
		b = append(b, '/')
	}
	return b
}

// appendPrice appends an amount of money as a JSON number.
func appendPrice(b []byte, cents int64) []byte {
	b = strconv.AppendInt(b, cents/100, 10)
	if cents %= 100; cents != 0 {
		b = append(b, '.', byte('0'+cents/10))
		if cents%10 != 0 {
			b = append(b, byte('0'+cents%10))
		}
	}
	return b
}
