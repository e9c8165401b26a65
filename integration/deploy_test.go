package integration_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.yaml.in/yaml/v3"
)

// yamlDocuments reads all documents of a file, which must not have duplicate keys.
func yamlDocuments(t *testing.T, path string) (documents []map[string]any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(readText(t, path)))
	for {
		var d map[string]any
		err := decoder.Decode(&d)
		if err == io.EOF { //nolint:errorlint // as the decoder returns it
			return documents
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		documents = append(documents, d)
	}
}

// at returns the values at a path in a document; * stands for all elements of a list.
func at(t *testing.T, v any, path ...string) (found []any) {
	t.Helper()
	if len(path) == 0 {
		return []any{v}
	}
	if list, ok := v.([]any); ok && path[0] == "*" {
		for _, item := range list {
			found = append(found, at(t, item, path[1:]...)...)
		}
		return found
	}
	member, ok := v.(map[string]any)[path[0]]
	if !ok {
		t.Fatalf("no %s in %v", strings.Join(path, "."), v)
	}
	return at(t, member, path[1:]...)
}

func only(t *testing.T, v any, path ...string) any {
	t.Helper()
	found := at(t, v, path...)
	if len(found) != 1 {
		t.Fatalf("%s: %d of it", strings.Join(path, "."), len(found))
	}
	return found[0]
}

// TestDeployedCaddyfile loads the Caddyfile of the image with each store, with the
// variables and files that the deployment gives the container.
func TestDeployedCaddyfile(t *testing.T) {
	for _, store := range []string{"", "file", "redis redis://127.0.0.1:1"} {
		t.Run(store, func(t *testing.T) {
			t.Setenv("XDG_DATA_HOME", t.TempDir())
			t.Setenv("RUDDERSTACK_DATA_PLANE_URL", "http://127.0.0.1:1")
			text := readText(t, "deploy/Caddyfile")
			if store != "" {
				t.Setenv("RUDDER_SESSION_STORE", store)
			}
			config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "deploy/Caddyfile"})
			if err != nil {
				t.Fatal(err)
			}
			if len(warnings) > 0 {
				t.Error(warnings)
			}
			var c caddy.Config
			if err := json.Unmarshal(config, &c); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Validate(&c); err != nil {
				t.Fatal(err)
			}
			wanted, _, _ := strings.Cut(store+" file", " ")
			if store != "" && !strings.Contains(string(config), `"module":"`+wanted+`"`) {
				t.Errorf("store %q is not in %s", store, config)
			}
		})
	}
}

// TestDeployedVariables: the Caddyfile uses every variable that the deployment sets, and
// every variable that it needs is set.
func TestDeployedVariables(t *testing.T) {
	taken := map[string]bool{}
	for _, m := range regexp.MustCompile(`\{\$([A-Z_]+)(:[^}]*)?\}`).FindAllStringSubmatch(readText(t, "deploy/Caddyfile"), -1) {
		taken[m[1]] = m[2] == "" // required: it has no default
	}
	check := func(file string, set []string) {
		t.Helper()
		for name, needed := range taken {
			if needed && !slices.Contains(set, name) {
				t.Errorf("%s does not set %s", file, name)
			}
		}
		for _, name := range set {
			if _, known := taken[name]; !known && strings.HasPrefix(name, "RUDDER") {
				t.Errorf("%s sets %s, which nobody takes", file, name)
			}
		}
	}
	var set []string
	for name := range only(t, yamlDocuments(t, "deploy/compose.yaml")[0], "services", "proxy", "environment").(map[string]any) {
		set = append(set, name)
	}
	check("deploy/compose.yaml", set)
	for _, file := range []string{"deploy/kubernetes/file.yaml", "deploy/kubernetes/redis.yaml"} {
		set = nil
		for _, name := range at(t, workload(t, file), "spec", "template", "spec", "containers", "*", "env", "*", "name") {
			set = append(set, name.(string))
		}
		check(file, set)
	}
}

// workload is the document of a file that has a pod template.
func workload(t *testing.T, file string) map[string]any {
	t.Helper()
	documents := yamlDocuments(t, file)
	return documents[len(documents)-1]
}

func TestKubernetes(t *testing.T) {
	for _, c := range []struct {
		file, kind string
		replicas   int
	}{{"deploy/kubernetes/file.yaml", "StatefulSet", 1}, {"deploy/kubernetes/redis.yaml", "Deployment", 3}} {
		t.Run(c.kind, func(t *testing.T) {
			w := workload(t, c.file)
			if w["kind"] != c.kind || only(t, w, "spec", "replicas") != c.replicas {
				t.Errorf("%v with %v", w["kind"], only(t, w, "spec", "replicas"))
			}
			pod := only(t, w, "spec", "template", "spec")
			container := only(t, pod, "containers", "*")
			labels := only(t, w, "spec", "template", "metadata", "labels")
			service := yamlDocuments(t, c.file)[0]
			for name, v := range only(t, service, "spec", "selector").(map[string]any) {
				if labels.(map[string]any)[name] != v {
					t.Errorf("the service selects %s=%v, which its pods have not", name, v)
				}
			}
			ports := at(t, container, "ports", "*", "name")
			for _, p := range []any{
				only(t, service, "spec", "ports", "*", "targetPort"),
				only(t, container, "readinessProbe", "httpGet", "port"),
				only(t, container, "livenessProbe", "httpGet", "port"),
			} {
				if !slices.Contains(ports, p) {
					t.Errorf("there is no port %v", p)
				}
			}
			if only(t, pod, "securityContext", "runAsNonRoot") != true || only(t, container, "securityContext", "readOnlyRootFilesystem") != true {
				t.Error("the pod may do more than it needs")
			}
			// Every volume of the image is mounted: nothing else can be written.
			for _, path := range []string{"/data", "/config"} {
				if !slices.Contains(at(t, container, "volumeMounts", "*", "mountPath"), any(path)) {
					t.Errorf("%s is not mounted", path)
				}
			}
			if grace := only(t, pod, "terminationGracePeriodSeconds").(int); grace < 20+5+5 {
				t.Errorf("%d seconds are less than Caddy takes", grace)
			}
		})
	}
}

// TestDockerfile reads it instruction by instruction.
func TestDockerfile(t *testing.T) {
	text := strings.ReplaceAll(readText(t, "deploy/Dockerfile"), "\\\n", " ")
	said := map[string][]string{}
	for line := range strings.Lines(text) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			said[name] = append(said[name], rest)
		}
	}
	if len(said["FROM"]) != 2 {
		t.Errorf("%d stages", len(said["FROM"]))
	}
	for _, image := range said["FROM"] {
		if !regexp.MustCompile(`^[a-z]+:\d+\.\d+`).MatchString(image) {
			t.Errorf("FROM %s is not pinned to a version", image)
		}
	}
	for name, want := range map[string]string{
		"USER": "1000:1000", "VOLUME": "/data /config", "ENTRYPOINT": `["caddy"]`, "EXPOSE": "8080",
		"HEALTHCHECK": "--interval=10s --timeout=3s --start-period=5s  \tCMD wget -q -O /dev/null http://127.0.0.1:8081/healthz",
	} {
		if got := said[name]; len(got) != 1 || strings.Join(strings.Fields(got[0]), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%s %q", name, got)
		}
	}
	// The files that are copied into the image exist.
	for _, c := range said["COPY"] {
		for _, from := range strings.Fields(c)[:len(strings.Fields(c))-1] {
			if strings.HasPrefix(from, "--") || strings.HasPrefix(from, "/src") {
				continue
			}
			if _, err := os.Stat(from); err != nil {
				t.Error(err)
			}
		}
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readText(t, "go.mod"))[1]
	if !strings.HasPrefix(said["FROM"][0], "golang:"+version+"-") {
		t.Errorf("go.mod wants Go %s, the image has %s", version, said["FROM"][0])
	}
	for _, service := range []string{"proxy", "redis", "dataplane"} {
		only(t, yamlDocuments(t, "deploy/compose.yaml")[0], "services", service, "restart")
	}
	for _, published := range at(t, yamlDocuments(t, "deploy/compose.yaml")[0], "services", "proxy", "ports", "*") {
		if !strings.HasPrefix(published.(string), "127.0.0.1:") {
			t.Errorf("%v is published to everybody", published)
		}
	}
}

func TestSystemdUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	text := readText(t, "deploy/systemd/rudder-session.service")
	if strings.Contains(text, "--environ ") {
		t.Error("the environment, with Redis' password, is written to the log")
	}
	// The programs that it starts are not installed on this machine.
	text = strings.ReplaceAll(text, "/usr/local/bin/rudder-session-caddy", "/bin/true")
	unit := filepath.Join(t.TempDir(), "rudder-session.service")
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "rudder-session.service:") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestWorkflows: each workflow pins its actions to commits, has no more permissions than
// it needs, and calls scripts that exist.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, w := range yamlDocuments(t, file) {
			if only(t, w, "permissions", "contents") != "read" {
				t.Errorf("%s may write", file)
			}
			for name, job := range only(t, w, "jobs").(map[string]any) {
				only(t, job, "timeout-minutes")
				for _, step := range at(t, job, "steps", "*") {
					s := step.(map[string]any)
					if uses, ok := s["uses"].(string); ok && !regexp.MustCompile(`^[\w/-]+@[0-9a-f]{40}$`).MatchString(uses) {
						t.Errorf("%s, %s: %s is not pinned", file, name, uses)
					}
					command, _ := s["run"].(string)
					for _, script := range regexp.MustCompile(`\./\S+\.sh`).FindAllString(command, -1) {
						if _, err := os.Stat(script); err != nil {
							t.Error(err)
						}
					}
				}
			}
		}
	}
}
