package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPinImages runs scripts/pin-images.sh on a copy of the files that it changes, with a
// fake docker that knows one digest for each tag.
func TestPinImages(t *testing.T) {
	root := t.TempDir()
	files := []string{"scripts/pin-images.sh", "deploy/Dockerfile", "deploy/compose.yaml"}
	for _, file := range files {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(readText(t, file)), 0o700); err != nil { //nolint:gosec // one is run
			t.Fatal(err)
		}
	}
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	tags := func(generation string) {
		t.Helper()
		text := "#!/bin/sh\nfor image; do :; done\ncase $image in *@*) exit 1;; esac\n" +
			"echo sha256:$(printf %s \"$image " + generation + "\" | sha256sum | cut -d' ' -f1)\n"
		if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(text), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
	}
	script := func(fails bool, args ...string) string {
		t.Helper()
		out, err := exec.Command(filepath.Join(root, files[0]), args...).CombinedOutput()
		if (err != nil) != fails {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	bare := regexp.MustCompile(`@sha256:[0-9a-f]{64}`)
	tags("first")
	script(false)
	n := 0
	for _, file := range files[1:] {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		n += len(bare.FindAll(text, -1))
		if want := bare.ReplaceAllString(readText(t, file), ""); bare.ReplaceAllString(string(text), "") != want {
			t.Errorf("%s: more was changed than digests:\n%s", file, text)
		}
	}
	if n != 4 {
		t.Errorf("%d images were pinned", n)
	}
	if said := script(false, "--check"); said != "" {
		t.Error(said)
	}
	// A tag that has moved is reported, and can be updated.
	tags("second")
	if said := script(true, "--check"); strings.Count(said, " is not ") != 4 {
		t.Error(said)
	}
	script(false)
	script(false, "--check")
	script(true, "--chek")
}
