package integration_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestLowerPackagesDoNotImportCaddy: enrich and sessionstate, with all their dependencies,
// do not import Caddy.
func TestLowerPackagesDoNotImportCaddy(t *testing.T) {
	packages := strings.Fields(goCommand(t, "list", "-deps", "./enrich", "./sessionstate/..."))
	for _, want := range []string{"enrich", "sessionstate", "sessionstate/filestore", "sessionstate/redisstore"} {
		if !slices.Contains(packages, "github.com/rudder-session/rudder-session/"+want) {
			t.Errorf("%s is not in what was listed", want)
		}
	}
	for _, p := range packages {
		if strings.Contains(p, "caddyserver") {
			t.Errorf("depends on %s", p)
		}
	}
}

// TestStoresAreLinkedWhereImported: a Caddy has a store's client library only
// if it was built with that store.
func TestStoresAreLinkedWhereImported(t *testing.T) {
	const client = "github.com/redis/rueidis"
	for _, c := range []struct {
		args []string
		want bool
	}{
		{[]string{"./cmd/caddy"}, false},
		{[]string{"-tags", "redis", "./cmd/caddy"}, true},
		{[]string{"./caddymodule/stores/file"}, false},
		{[]string{"./caddymodule/stores/redis"}, true},
	} {
		packages := strings.Fields(goCommand(t, append([]string{"list", "-deps"}, c.args...)...))
		if slices.Contains(packages, client) != c.want {
			t.Errorf("go list -deps %s: %s is there: %v", strings.Join(c.args, " "), client, !c.want)
		}
	}
	// bbolt is not linked where the file store is not used.
	packages := strings.Fields(goCommand(t, "list", "-deps", "./caddymodule"))
	if slices.Contains(packages, "github.com/rudder-session/rudder-session/sessionstate/filestore") {
		t.Error("caddymodule links the file store")
	}
}

// TestRequirements keeps the direct requirements of this module to a short list: all who
// build a Caddy with it download each of them.
func TestRequirements(t *testing.T) {
	allowed := []string{
		"github.com/araddon/dateparse",
		"github.com/caddyserver/caddy/v2",
		"github.com/cespare/xxhash/v2",
		"github.com/dustin/go-humanize",
		"github.com/hashicorp/golang-lru/v2",
		"github.com/klauspost/compress",
		"github.com/prometheus/client_golang",
		"github.com/redis/rueidis",
		"github.com/spf13/cobra",
		"go.etcd.io/bbolt",
		"go.opentelemetry.io/otel",
		"go.opentelemetry.io/otel/trace",
		"go.uber.org/zap",
		"go.yaml.in/yaml/v3",
		"go.opentelemetry.io/proto/otlp",
		"google.golang.org/protobuf",
		"golang.org/x/sys",
		// for tests
		"github.com/anishathalye/porcupine",
		"github.com/tidwall/gjson",
		"github.com/tidwall/sjson",
		"pgregory.net/rapid",
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal([]byte(goCommand(t, "mod", "edit", "-json")), &mod); err != nil {
		t.Fatal(err)
	}
	direct := 0
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		direct++
		if !slices.Contains(allowed, r.Path) {
			t.Errorf("go.mod requires %s", r.Path)
		}
	}
	if direct == 0 {
		t.Error("go.mod requires nothing: it was misread")
	}
	for _, r := range mod.Replace {
		t.Errorf("go.mod replaces %s: replacements do not hold for those who build with this module", r.Old.Path)
	}
}

func goCommand(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		var e *exec.ExitError
		if errors.As(err, &e) {
			t.Fatalf("go %s: %v: %s", strings.Join(args, " "), err, e.Stderr)
		}
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// TestTheCoreIsPure: the package that decides about sessions does not import clocks,
// locks or contexts, and nothing but the standard library and one hash.
func TestTheCoreIsPure(t *testing.T) {
	const core = "./sessionstate/session"
	own := strings.Fields(goCommand(t, "list", "-f", `{{join .Imports " "}}`, core))
	if len(own) == 0 {
		t.Fatal("it imports nothing: it was misread")
	}
	for _, p := range own {
		if slices.Contains([]string{"sync", "sync/atomic", "context", "time", "os", "net", "runtime", "math/rand", "math/rand/v2"}, p) {
			t.Errorf("%s imports %s", core, p)
		}
	}
	others := strings.Fields(goCommand(t, "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", core))
	for _, p := range others {
		if p != "github.com/rudder-session/rudder-session/sessionstate/session" && p != "github.com/cespare/xxhash/v2" {
			t.Errorf("%s depends on %s", core, p)
		}
	}
}
