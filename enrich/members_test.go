package enrich

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestRemoveMembers(t *testing.T) {
	deep := strings.Repeat(`[`, 500) + strings.Repeat(`]`, 500)
	for _, c := range []struct{ text, want string }{
		{`{"source":{"dataplanes":{}}}`, `{"source":{}}`},
		{`{"source":{"id":"s","dataplanes":{"US":[{"url":"https://a","default":true}]}}}`, `{"source":{"id":"s"}}`},
		{`{"source":{"dataplanes":1,"id":"s"}}`, `{"source":{"id":"s"}}`},
		{`{"source":{"a":1,"dataplanes":null,"b":2}}`, `{"source":{"a":1,"b":2}}`},
		{" {\t\"source\" : {\n \"a\" : 1 , \"dataplanes\" : [ 1 ] } }\r\n", " {\t\"source\" : {\n \"a\" : 1   } }\r\n"},
		// With escapes and duplicates.
		{`{"s\u006furce":{"\u0064ataplan\u0065s":1,"id":1}}`, `{"s\u006furce":{"id":1}}`},
		{`{"source":{"dataplanes":1,"dataplanes":2,"x":3,"dataplanes":4}}`, `{"source":{"x":3}}`},
		{`{"source":{"x":3,"dataplanes":1,"dataplanes":2}}`, `{"source":{"x":3}}`},
		{`{"source":{"dataplanes":1,"dataplanes":2}}`, `{"source":{}}`},
		{`{"source":{"dataplanes":1},"source":{"a":0,"dataplanes":2},"source":3}`, `{"source":{},"source":{"a":0},"source":3}`},
		{`{"a":{"source":{"dataplanes":1}},"source":{"b":` + deep + `,"dataplanes":1}}`, `{"a":{"source":{"dataplanes":1}},"source":{"b":` + deep + `}}`},
		// Similar bodies without the member.
		{`{"source":{"id":"dataplanes"}}`, ""},
		{`{"dataplanes":1,"source":[{"dataplanes":1}]}`, ""},
		{`{"source":{"Dataplanes":1,"dataplanes ":2,"config":{"dataplanes":1}},"Source":{"dataplanes":1}}`, ""},
		{`{}`, ""},
	} {
		before := bytes.Clone([]byte(c.text))
		body, valid := RemoveMembers([]byte(c.text), "source", "dataplanes")
		if got := string(body.Bytes()); !valid || got != c.want || (body == nil) != (c.want == "") {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
		if string(before) != c.text {
			t.Errorf("%s: the text was changed", c.text)
		}
	}
	for _, text := range []string{
		``, `[]`, `1`, `null`, `"{}"`, `{`, `{"source":{"dataplanes":1}`, `{"source":{"dataplanes":1}} x`, `{"source":{"dataplanes":}}`,
		`{"source":{"dataplanes":1,}}`, `{"source":{"dataplanes":01}}`, "{\"source\":{\"dataplanes\":\"\n\"}}", `{source:{dataplanes:1}}`,
		`{"source":{"dataplanes":` + strings.Repeat("[", 513) + strings.Repeat("]", 513) + `}}`,
	} {
		if body, valid := RemoveMembers([]byte(text), "source", "dataplanes"); valid || body != nil {
			t.Errorf("%s: taken for an object", text)
		}
	}
}

func TestReplaceStrings(t *testing.T) {
	replace := func(key, value string) (string, bool) {
		return "https://p/\"<", key == "url" || strings.HasPrefix(value, "http")
	}
	for _, c := range []struct{ text, want string }{
		{`{"source":{"url":"http://x","dataplanes":{"US":[{"url":"https://a","default":true}, {"url":"b"}],"EU":[]}}}`,
			`{"source":{"url":"http://x","dataplanes":{"US":[{"url":"https://p/\"\u003c","default":true}, {"url":"https://p/\"\u003c"}],"EU":[]}}}`},
		{`{"source":{"dataplanes":"\u0068ttp://a"},"source":{"dataplanes":[ "http" , [[ ]] ,{ },{"\u0075rl" :"b","x":"c"}]}}`,
			`{"source":{"dataplanes":"https://p/\"\u003c"},"source":{"dataplanes":[ "https://p/\"\u003c" , [[ ]] ,{ },{"\u0075rl" :"https://p/\"\u003c","x":"c"}]}}`},
		{`{"source":{"dataplanes":{"US":[{"default":true,"n":1e5}],"url":null}}}`, ""},
		{`{"source":{"dataplanes":"us"}}`, ""},
	} {
		body, valid := ReplaceStrings([]byte(c.text), replace, "source", "dataplanes")
		if got := string(body.Bytes()); !valid || got != c.want {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}

// FuzzMembers compares both functions with encoding/json.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{"source":{"id":"s","dataplanes":{"US":[{"url":"https://a","default":true}]},"destinations":[]}}`,
		`{"source":{"dataplanes":1,"dataplanes":[{"u\u0072l":"x"}]},"s\u006furce":{"a":1,"dataplanes":{}}}`,
		" {\n\t\"source\" : { \"dataplanes\" : [ \"http://a\" , { \"url\" : \"b\" } ] , \"x\" : \"\u00fc\u2028\" } } ",
		`{"source":[],"dataplanes":{"url":""}}`, `{"source":{"dataplanes":{"":{"url":"\ud800"}}}}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		body, valid := RemoveMembers(text, "source", "dataplanes")
		replaced, validToo := ReplaceStrings(text, func(key, value string) (string, bool) {
			return "R", key == "url"
		}, "source", "dataplanes")
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		root := bytes.TrimLeft(text, " \t\r\n")
		want := json.Valid(text) && root[0] == '{' && parseTree(text, 0).depth() <= maxDepth
		if valid != want || validToo != want {
			t.Fatalf("valid is %v and %v, encoding/json says %v", valid, validToo, want)
		}
		if !want {
			if body != nil || replaced != nil {
				t.Fatal("something was made of what is not valid")
			}
			return
		}
		found := membersAt(text, "source", "dataplanes")
		if (body != nil) != (len(found) > 0) {
			t.Fatalf("of %d members nothing or something was removed", len(found))
		}
		if body != nil {
			out := body.Bytes()
			if len(membersAt(out, "source", "dataplanes")) > 0 {
				t.Fatalf("still there: %s", out)
			}
			sameValue(t, text, out, func(v map[string]any) { eachSource(v, func(s map[string]any) { delete(s, "dataplanes") }) })
		}
		if replaced != nil {
			sameValue(t, text, replaced.Bytes(), func(v map[string]any) {
				eachSource(v, func(s map[string]any) { replaceURLs(s["dataplanes"]) })
			})
		}
	})
}

// membersAt finds the members at a path in a parsed tree.
func membersAt(text []byte, path ...string) (found []refMember) {
	nodes := []*node{parseTree(text, 0)}
	for i, key := range path {
		var next []*node
		for _, n := range nodes {
			for _, m := range n.members {
				if m.key != key {
					continue
				}
				next = append(next, m.value)
				if i == len(path)-1 {
					found = append(found, m)
				}
			}
		}
		nodes = next
	}
	return found
}

// sameValue checks that two texts have the same value after expect was applied to the
// first. With duplicate keys, encoding/json merges values that do not count for SDKs.
func sameValue(t *testing.T, before, after []byte, expect func(map[string]any)) {
	t.Helper()
	if !json.Valid(after) {
		t.Fatalf("no JSON: %s", after)
	}
	var was, is map[string]any
	decode(t, before, &was)
	decode(t, after, &is)
	expect(was)
	if !reflect.DeepEqual(was, is) {
		t.Fatalf("was %v\nis  %v", was, is)
	}
}

func decode(t *testing.T, text []byte, to any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(to); err != nil {
		t.Fatal(err)
	}
}

func eachSource(v map[string]any, do func(map[string]any)) {
	if s, ok := v["source"].(map[string]any); ok {
		do(s)
	}
}

func replaceURLs(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if _, is := member.(string); is && key == "url" {
				v[key] = "R"
				continue
			}
			replaceURLs(member)
		}
	case []any:
		for i := range v {
			replaceURLs(v[i])
		}
	}
}
