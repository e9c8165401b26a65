package sourceconfig

import (
	"net/http"
	"strings"
)

// mark is what the entity tags of rewritten bodies end with. It tells them from
// the control plane's own: a client that has a body from before this handler
// stood here, or from before its options changed, does not have the rewritten
// one, and must not be told that nothing has changed.
type mark string

// add marks the entity tag of a response; what is no entity tag is removed.
func (m mark) add(h http.Header) {
	tags := h["Etag"]
	if len(tags) == 0 {
		return
	}
	weak, opaque, rest := cutTag(tags[0])
	if len(tags) > 1 || rest != "" || opaque == "" {
		h.Del("Etag")
		return
	}
	h["Etag"] = []string{weak + `"` + opaque[1:len(opaque)-1] + string(m) + `"`}
}

// translate makes of the entity tags in a condition the control plane's own, and
// drops those without the mark. It reports whether any is left; if none is, there
// is no condition any more.
func (m mark) translate(h http.Header, name string) bool {
	list := strings.Join(h[name], ",")
	var tags []string
	for {
		list = strings.TrimLeft(list, ", \t")
		weak, opaque, rest := cutTag(list)
		if opaque == "" {
			break // the end, or what is no list of entity tags, such as *
		}
		list = rest
		if own, marked := strings.CutSuffix(opaque, string(m)+`"`); marked {
			tags = append(tags, weak+own+`"`)
		}
	}
	if len(tags) == 0 {
		delete(h, name)
		return false
	}
	h[name] = []string{strings.Join(tags, ", ")}
	return true
}

// cutTag cuts the entity tag that a text begins with: W/ or nothing, and the
// part in quotes, which is empty if there is none.
func cutTag(text string) (weak, opaque, rest string) {
	rest = text
	if strings.HasPrefix(rest, "W/") {
		weak, rest = "W/", rest[2:]
	}
	if !strings.HasPrefix(rest, `"`) {
		return "", "", text
	}
	end := strings.IndexByte(rest[1:], '"')
	if end < 0 {
		return "", "", text
	}
	return weak, rest[:end+2], rest[end+2:]
}
