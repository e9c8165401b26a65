package enrich

import "github.com/araddon/dateparse"

// parseTime parses a timestamp, a JSON string, as the data plane does: in every format
// that dateparse knows, and as UTC if it has no zone. It returns Unix milliseconds,
// rounded down.
func parseTime(value []byte) (ms int64, ok bool) {
	if ms, ok = parseRFC3339(value); ok || len(value) < 2 || len(value) > longestTime || value[0] != '"' {
		return ms, ok
	}
	return parseAnyTime(string(textOf(value)))
}

// longestTime bounds the length of a JSON timestamp. No format is half as long.
const longestTime = 256

// parseAnyTime parses the formats that few or no SDKs send. For example, iOS devices
// with a twelve-hour clock send "2026-11-28T1:55:00.719 AMZ".
func parseAnyTime(text string) (ms int64, ok bool) {
	defer func() {
		if recover() != nil {
			ms, ok = 0, false // dateparse panics on some texts
		}
	}()
	t, err := dateparse.ParseAny(text)
	if err != nil {
		return 0, false
	}
	return t.UnixMilli(), true
}

// parseRFC3339 parses the format that almost all SDKs send, without allocating.
func parseRFC3339(value []byte) (ms int64, ok bool) {
	if len(value) < len(`"2006-01-02T15:04:05"`) || value[0] != '"' {
		return 0, false
	}
	b := value[1 : len(value)-1]
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year, ok1 := digits(b[0:4])
	month, ok2 := digits(b[5:7])
	day, ok3 := digits(b[8:10])
	hour, ok4 := digits(b[11:13])
	minute, ok5 := digits(b[14:16])
	second, ok6 := digits(b[17:19])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 ||
		month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	b = b[19:]
	if len(b) > 1 && b[0] == '.' && isDigit(b[1]) {
		unit := int64(100)
		for b = b[1:]; len(b) > 0 && isDigit(b[0]); b = b[1:] {
			ms += unit * int64(b[0]-'0')
			unit /= 10
		}
	}
	offset, ok := parseZone(b)
	seconds := daysSinceEpoch(year, month, day)*86400 + int64(hour*3600+minute*60+second-offset)
	return seconds*1000 + ms, ok
}

// parseZone parses Z or ±hh:mm, and returns seconds east of UTC.
func parseZone(b []byte) (offset int, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != len("+00:00") || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	hour, ok1 := digits(b[1:3])
	minute, ok2 := digits(b[4:6])
	offset = hour*3600 + minute*60
	if b[0] == '-' {
		offset = -offset
	}
	return offset, ok1 && ok2 && hour < 24 && minute < 60
}

func digits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch returns the days since 1970-01-01. It computes with years that begin
// in March, so that the leap day is the last day of the year.
func daysSinceEpoch(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	// floor division, for the year before year 0
	century := (year+100)/100 - 1
	return int64(365*year+(year+4)/4-1-century+(century+4)/4-1+(153*(month-3)+2)/5+day) - 719469
}
