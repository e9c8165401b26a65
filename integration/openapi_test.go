package integration_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// openAPI is docs/openapi.yaml.
type openAPI struct {
	t *testing.T
	d map[string]any
}

// resolve follows a reference.
func (o openAPI) resolve(v any) map[string]any {
	o.t.Helper()
	m := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	path := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	return o.resolve(only(o.t, o.d, path...))
}

// check validates a value against a schema, with the keywords that the document uses.
func (o openAPI) check(schema any, v any) error {
	s := o.resolve(schema)
	for _, part := range anyList(s["allOf"]) {
		if err := o.check(part, v); err != nil {
			return err
		}
	}
	for _, name := range []string{"anyOf", "oneOf"} {
		fits := 0
		for _, part := range anyList(s[name]) {
			if o.check(part, v) == nil {
				fits++
			}
		}
		if n := len(anyList(s[name])); n > 0 && fits == 0 {
			return fmt.Errorf("%v fits none of %d", v, n)
		}
	}
	types := anyList(s["type"])
	if one, ok := s["type"].(string); ok {
		types = []any{one}
	}
	if len(types) > 0 && !slices.Contains(types, any(kindOf(v))) {
		return fmt.Errorf("%v is no %v", v, types)
	}
	object, isObject := v.(map[string]any)
	for _, name := range anyList(s["required"]) {
		if _, there := object[name.(string)]; isObject && !there {
			return fmt.Errorf("%v has no %s", v, name)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for name, value := range object {
		if p, known := properties[name]; known {
			if err := o.check(p, value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if low, ok := s["minimum"].(int); ok && v.(float64) < float64(low) {
		return fmt.Errorf("%v is below %d", v, low)
	}
	return nil
}

func anyList(v any) []any { list, _ := v.([]any); return list }

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", v)
}

// TestOpenAPI makes the handler give every answer in docs/openapi.yaml, and validates each
// against the document.
func TestOpenAPI(t *testing.T) {
	o := openAPI{t, yamlDocuments(t, "docs/openapi.yaml")[0]}
	f := newFaults(t)
	p := run(t, proxytest.Setup{
		Global:  "rudder_session {\n" + f.option() + "\n}",
		Session: "write_keys wk1\nmax_session_starts 3",
	})
	operations := map[string]map[string]any{}
	for path, item := range only(t, o.d, "paths").(map[string]any) {
		for method, operation := range item.(map[string]any) {
			operations[strings.ToUpper(method)+" "+path] = operation.(map[string]any)
		}
	}
	var handled []string
	for _, path := range []string{"/v1/startSession", "/v1/endSession", "/v1/resetSession"} {
		handled = append(handled, "POST "+path)
	}
	handled = append(handled, "GET /v1/session")
	if got := slices.Sorted(maps.Keys(operations)); !slices.Equal(got, slices.Sorted(slices.Values(handled))) {
		t.Fatalf("described are %v", got)
	}

	for name, operation := range operations {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(name, " ")
			ask := func(writeKey, id string) proxytest.Reply {
				r := proxytest.Request{Method: method, Path: path, WriteKey: writeKey, Header: http.Header{"Origin": {"https://shop.example"}}}
				switch {
				case method == http.MethodGet:
					r.Path += "?anonymousId=" + id
				case id != "":
					r.Body = fmt.Sprintf(`{"anonymousId":%q}`, id)
				default:
					r.Body = `{}`
				}
				return p.Send(t, r)
			}
			down := func(answer func() proxytest.Reply) proxytest.Reply {
				f.reads.Store(true)
				f.writes.Store(true)
				defer f.reads.Store(false)
				defer f.writes.Store(false)
				return answer()
			}
			user := strings.ReplaceAll(path, "/", "-")
			answers := map[string]proxytest.Reply{
				"200": ask("wk1", user),
				"400": ask("wk1", ""),
				"401": ask("wk2", user),
				"503": down(func() proxytest.Reply { return ask("wk1", user) }),
			}
			if strings.Contains(path, "start") || strings.Contains(path, "reset") {
				p.Start(t, user, 1234567890)
				for range 4 {
					answers["429"] = ask("wk1", user)
				}
			}
			described := operation["responses"].(map[string]any)
			if got, want := slices.Sorted(maps.Keys(answers)), slices.Sorted(maps.Keys(described)); !slices.Equal(got, want) {
				t.Errorf("described are %v, there are %v", want, got)
			}
			for status, answer := range answers {
				if fmt.Sprint(answer.Status) != status {
					t.Errorf("%s: came %d %s", status, answer.Status, answer.Body)
					continue
				}
				response := o.resolve(described[status])
				for header := range response["headers"].(map[string]any) {
					if answer.Header.Get(header) == "" {
						t.Errorf("%s: no header %s", status, header)
					}
				}
				kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
				content, known := response["content"].(map[string]any)[kind]
				if !known {
					t.Errorf("%s: is %s", status, kind)
					continue
				}
				var v any = answer.Body
				if kind == "application/json" {
					if err := json.Unmarshal([]byte(answer.Body), &v); err != nil {
						t.Error(err)
					}
				}
				if err := o.check(content.(map[string]any)["schema"], v); err != nil {
					t.Errorf("%s: %v", status, err)
				}
			}
			// The example is valid, and works.
			if body, ok := operation["requestBody"]; ok {
				content := only(t, o.resolve(body), "content", "application/json").(map[string]any)
				text, err := json.Marshal(content["example"])
				if err != nil {
					t.Fatal(err)
				}
				var example any
				if err := json.Unmarshal(text, &example); err != nil {
					t.Fatal(err)
				}
				if err := o.check(content["schema"], example); err != nil {
					t.Error(err)
				}
				if got := p.Post(t, path, string(text)); got.Status != http.StatusOK {
					t.Errorf("%d %s", got.Status, got.Body)
				}
			}
		})
	}
}
