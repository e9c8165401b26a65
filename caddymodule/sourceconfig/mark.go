package sourceconfig

import (
	"net/http"
	"strings"
)

// mark is the suffix of the entity tags of rewritten bodies. It distinguishes them
// from the control plane's own: a client whose body is from before this handler was
// installed, or from before its options changed, must not get a 304.
type mark string

// add marks the entity tag of a response, and removes the header if it is not one
// valid entity tag.
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

// translate turns the entity tags of a conditional header back into the control
// plane's own, and drops those without the mark. It reports whether any is left; if
// none is, it removes the header.
func (m mark) translate(h http.Header, name string) bool {
	list := strings.Join(h[name], ",")
	var tags []string
	for {
		list = strings.TrimLeft(list, ", \t")
		weak, opaque, rest := cutTag(list)
		if opaque == "" {
			break // the end, or not a list of entity tags, such as *
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

// cutTag cuts the entity tag off the beginning of a text: its W/ if it has one, and
// the part in quotes, quotes included. opaque is empty if there is no tag.
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
