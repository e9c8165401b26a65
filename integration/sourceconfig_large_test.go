package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestSourceConfigOfALargeWorkspace: except for the data planes, the answer has the same
// value and the same bytes as the control plane's.
func TestSourceConfigOfALargeWorkspace(t *testing.T) {
	text := largeSourceConfig(t)
	member := `"dataplanes":{"US":[{"url":"https://us.example","default":true}],"EU":[{"url":"https://eu.example","default":true}]},`
	whole := strings.Replace(text, `"source":{`, `"source":{`+member, 1)
	for _, zipped := range []bool{false, true} {
		body, header := whole, []string{}
		if zipped {
			body, header = proxytest.Zip(t, whole), []string{"Content-Encoding", "gzip"}
		}
		p := behindSourceConfig(t, "", answering(200, body, header...))
		got := p.Send(t, proxytest.Request{Method: "GET", Path: "/sourceConfig", Header: http.Header{"Accept-Encoding": {"gzip"}}}).Body
		if zipped {
			if len(got) > len(body)*11/10 {
				t.Errorf("%d bytes go on of %d that came", len(got), len(body))
			}
			got = unzipText(t, got)
		}
		var was, is map[string]any
		for text, to := range map[string]*map[string]any{whole: &was, got: &is} {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber()
			if err := d.Decode(to); err != nil {
				t.Fatal(err)
			}
		}
		delete(was["source"].(map[string]any), "dataplanes")
		if !reflect.DeepEqual(was, is) {
			t.Error("another value came out")
		}
		if got != text {
			t.Error("other bytes came out")
		}
	}
}

// largeSourceConfig makes a source config of about 1 MB: 200 destinations, text
// in many scripts, and objects that nest deeply.
func largeSourceConfig(t *testing.T) string {
	t.Helper()
	var destinations []any
	for i := range 200 {
		nested := any("dataplanes")
		for range 150 {
			nested = map[string]any{"dataplanes": nested, "é\u2028\"\\": []any{nil, true, 1.5e-9}}
		}
		if i%40 != 0 {
			nested = nil
		}
		destinations = append(destinations, map[string]any{
			"id": fmt.Sprintf("2abcdefghijklmnopqrstuvwxyz%05d", i), "name": "Größe 尺寸 حجم 🎛 \u0000\u001f", "enabled": i%3 > 0,
			"config":                map[string]any{"nested": nested, "eventsList": strings.Repeat("Оплата заказа, ", 120), "n": 12345678901234567890 + uint64(i)},
			"destinationDefinition": map[string]any{"name": "GA4", "displayName": "<Google & Analytics>", "dataplanes": []any{}},
		})
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(destinations); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("{\"isHosted\":true, \"source\":{\"id\":\"s\",\"destinations\" : %s,\"enabled\":true}}", &out)
	if len(text) < 1<<20 || len(text) > 4<<20 {
		t.Fatalf("it has %d bytes", len(text))
	}
	return text
}
