package shop

import "strconv"

// What is appended here has no character that JSON escapes.

// text appends `"name":"value",`.
func text(b []byte, name, value string) []byte {
	b = key(b, name)
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"', ',')
}

// number appends `"name":value,`.
func number(b []byte, name string, value int64) []byte {
	b = key(b, name)
	b = strconv.AppendInt(b, value, 10)
	return append(b, ',')
}

// price appends `"name":value,` for an amount of money.
func price(b []byte, name string, cents int64) []byte {
	b = key(b, name)
	b = appendPrice(b, cents)
	return append(b, ',')
}

// stamp appends `"name":"time",` for a time in Unix milliseconds.
func stamp(b []byte, name string, at int64) []byte {
	b = key(b, name)
	b = append(b, '"')
	b = appendTime(b, at)
	return append(b, '"', ',')
}

// key appends `"name":`.
func key(b []byte, name string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// closed replaces the comma at the end with the end of the object.
func closed(b []byte) []byte {
	if b[len(b)-1] == ',' {
		b[len(b)-1] = '}'
		return b
	}
	return append(b, '}')
}

// appendTime appends a time in Unix milliseconds as RFC 3339, in UTC. Years have
// four digits.
func appendTime(b []byte, at int64) []byte {
	days, of := at/day, at%day
	if of < 0 {
		days, of = days-1, of+day
	}
	// Howard Hinnant's days to civil date: years begin in March.
	z := days + 719468
	era := z / 146097
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	month := (5*doy + 2) / 153
	date := doy - (153*month+2)/5 + 1
	year := yoe + era*400
	if month += 3; month > 12 {
		month -= 12
		year++
	}
	b = digits(b, year, 4)
	b = append(b, '-')
	b = digits(b, month, 2)
	b = append(b, '-')
	b = digits(b, date, 2)
	b = append(b, 'T')
	b = digits(b, of/hour, 2)
	b = append(b, ':')
	b = digits(b, of/minute%60, 2)
	b = append(b, ':')
	b = digits(b, of/second%60, 2)
	b = append(b, '.')
	b = digits(b, of%second, 3)
	return append(b, 'Z')
}

// digits appends a number with that many digits.
func digits(b []byte, n int64, count int) []byte {
	for range count {
		b = append(b, '0')
	}
	for i := len(b) - 1; count > 0; i, count = i-1, count-1 {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
