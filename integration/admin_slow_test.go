package integration_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/caddymodule/adminapi"
	"github.com/rudder-session/rudder-session/internal/proxytest"
)

// TestImportTakesItsTime: Caddy's admin endpoint gives a request ten seconds to arrive.
// An import may take longer; here the ten seconds are over before it is read.
func TestImportTakesItsTime(t *testing.T) {
	p := run(t, withAdmin("memory", ""))
	p.Start(t, "one", 1111111111)
	mux := http.NewServeMux()
	for _, route := range (adminapi.API{}).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handler.ServeHTTP(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	server := httptest.NewUnstartedServer(mux)
	server.Config.ReadHeaderTimeout, server.Config.ReadTimeout = time.Minute, time.Nanosecond
	server.Start()
	defer server.Close()

	record := p.admin(t, "GET", "export", "").Body
	all := strings.Repeat(record, 2000) // more than is read with the header
	r, err := http.NewRequest(http.MethodPost, server.URL+"/rudder_session/import", strings.NewReader(all))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proxytest.Exchange(p.Client, r); err != nil || got.Body != "{\"read\":2000,\"written\":0}\n" {
		t.Errorf("%v %d %s", err, got.Status, got.Body)
	}
}
