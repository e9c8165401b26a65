package integration_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/freeport"
	"github.com/rudder-session/rudder-session/internal/proxytest"
	"github.com/rudder-session/rudder-session/internal/redistest"
)

// TestDashboard lets a Prometheus scrape a Caddy that gets all kinds of requests, and
// runs every query of the dashboard and of the alerts in it. Each must find something,
// those of the alerts without their comparison.
func TestDashboard(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("there is no prometheus here")
	}
	f := newFaults(t)
	p := run(t, proxytest.Setup{
		Global: "metrics\nrudder_session {\n" + f.option() + "\ncapacity 2\n}",
		Site:   "metrics /metrics\nrudder_session {\nautomatic proxy\nmax_session_starts 2\nsource wk1 {\nname shop\n}\n}\nrudder_session_source_config\nreverse_proxy $UPSTREAM",
	})
	traffic := func(i int) {
		id := fmt.Sprint("user ", i)
		p.Post(t, "/v1/startSession", `{"anonymousId":"`+id+`"}`)
		p.Post(t, "/v1/track", proxytest.Event(id, "m"+id))
		p.Post(t, "/v1/track", proxytest.Event(id, "m"+id)) // again
		p.Post(t, "/v1/batch", `{"batch":[{"type":"startSession","anonymousId":"`+id+`","sessionId":"x"},{"type":"page"}]}`)
		p.Post(t, "/v1/startSession", `{"anonymousId":"`+id+`"}`) // one too many
		p.Post(t, "/v1/identify", `nonsense`)
		p.Post(t, "/v1/endSession", `{"anonymousId":"`+id+`"}`)
		p.Send(t, proxytest.Request{Method: http.MethodGet, Path: "/sourceConfig"})
		f.writes.Store(true)
		p.Post(t, "/v1/startSession", `{"anonymousId":"other `+id+`"}`)
		f.writes.Store(false)
	}
	traffic(0)
	prometheus := startPrometheus(t, program, p.Port)

	queries := dashboardQueries(t)
	comparison := regexp.MustCompile(`\s*> [\d.]+`)
	for _, document := range yamlDocuments(t, "deploy/prometheus/alerts.yml") {
		for _, rule := range at(t, document, "groups", "*", "rules", "*") {
			r := rule.(map[string]any)
			for part := range strings.SplitSeq(comparison.ReplaceAllString(r["expr"].(string), ""), " and ") {
				// This store stands in for the memory store.
				queries[fmt.Sprint(r["alert"], ": ", part)] = strings.ReplaceAll(part, `table="memory"`, `table=~".+"`)
			}
			if !strings.Contains(readText(t, "docs/operations.md"), "## Alerts") {
				t.Error("there is no runbook")
			}
		}
	}
	// A rate needs two scrapes with activity between them.
	i, empty := 0, []string(nil)
	defer func() {
		slices.Sort(empty)
		for _, name := range empty {
			t.Errorf("nothing is found: %s", name)
		}
	}()
	redistest.Await(t, "each query finds something", func() bool {
		i++
		traffic(i)
		empty = nil
		for name, query := range queries {
			if !prometheus.finds(t, query) {
				empty = append(empty, name)
			}
		}
		return len(empty) == 0
	})
}

// dashboardQueries returns the queries of the dashboard, by the panel's title and the
// query's text.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readText(t, "deploy/grafana/rudder-session.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := map[string]string{}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries[panel.Title+": "+target.Expr] = strings.NewReplacer(
				"$__rate_interval", "1m", "$job", ".*", "$instance", ".*").Replace(target.Expr)
		}
	}
	if len(queries) < 25 {
		t.Fatalf("%d queries", len(queries))
	}
	return queries
}

// TestDashboardHasAllMetrics: every metric of docs/operations.md has a panel.
func TestDashboardHasAllMetrics(t *testing.T) {
	queries := strings.Join(slices.Collect(maps.Values(dashboardQueries(t))), "\n")
	documented := regexp.MustCompile("(?m)^\\| `(caddy_rudder_session_\\w+)`").FindAllStringSubmatch(readText(t, "docs/operations.md"), -1)
	if len(documented) < 20 {
		t.Fatalf("%d metrics are documented", len(documented))
	}
	for _, m := range documented {
		if !regexp.MustCompile(m[1] + `(_bucket|_count)?\b`).MatchString(queries) {
			t.Errorf("no panel shows %s", m[1])
		}
	}
}

func TestAlertRules(t *testing.T) {
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool here")
	}
	if out, err := exec.Command(program, "check", "rules", "deploy/prometheus/alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
	if out, err := exec.Command(program, "test", "rules", "testdata/alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}

// prometheus is a running Prometheus server.
type prometheus struct{ address string }

func startPrometheus(t *testing.T, program string, port int) prometheus {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global:\n  scrape_interval: 500ms\nscrape_configs:\n- job_name: caddy\n  static_configs:\n  - targets: ['127.0.0.1:%d']\n", port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(freeport.Claim(t)))
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	log := &strings.Builder{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	redistest.Await(t, "Prometheus to be ready", func() bool {
		response, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return prometheus{address}
}

// finds reports whether a query returns a number.
func (p prometheus) finds(t *testing.T, query string) bool {
	t.Helper()
	response, err := http.Get("http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Error != "" {
		t.Fatalf("%s: %s", query, answer.Error)
	}
	for _, r := range answer.Data.Result {
		if v, _ := r.Value[1].(string); v != "NaN" {
			return true
		}
	}
	return false
}
