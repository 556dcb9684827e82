package overlay_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/overlay"
)

// What is built is what the overlay says, and the tree is as it was.
func TestOverlay(t *testing.T) {
	o, err := overlay.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const file = "cmd/campaign/overlay/testdata/hello/main.go"
	if err := o.Replace(file, `"as it is"`, `changed()`); err != nil {
		t.Fatal(err)
	}
	if err := o.Set("cmd/campaign/overlay/testdata/hello/added.go", []byte("package main\n\nfunc changed() string { return \"planted\" }\n")); err != nil {
		t.Fatal(err)
	}
	flag, err := o.Flag()
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"planted":  {"run", flag, "./testdata/hello"},
		"as it is": {"run", "./testdata/hello"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("go %v: %v, %s; want %s", args, err, out, want)
		}
	}
}

// A change that does not fit is refused, or a campaign would prove nothing.
func TestReplaceRefuses(t *testing.T) {
	o, err := overlay.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{"not in there", "main"} {
		if err := o.Replace("cmd/campaign/overlay/testdata/hello/main.go", old, ""); err == nil {
			t.Errorf("%q was replaced", old)
		}
	}
	if err := o.Replace("nowhere.go", "x", "y"); err == nil {
		t.Error("a file that is not there was changed")
	}
}

// What a campaign has planted is in what a test builds with changes of its own.
func TestOverlayOfTheEnvironment(t *testing.T) {
	const file = "cmd/campaign/overlay/testdata/hello/main.go"
	outer, err := overlay.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := outer.Replace(file, `"as it is"`, `"as " + second()`); err != nil {
		t.Fatal(err)
	}
	flag, err := outer.Flag()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", "-buildvcs=false "+flag)
	before, err := outer.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := overlay.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := inner.Replace(file, `"as "`, `"planted "`); err != nil {
		t.Fatal(err)
	}
	if err := inner.Set("cmd/campaign/overlay/testdata/hello/added.go", []byte("package main\n\nfunc second() string { return \"twice\" }\n")); err != nil {
		t.Fatal(err)
	}
	if flag, err = inner.Flag(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", flag, "./testdata/hello").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "planted twice" {
		t.Errorf("%v, %s", err, out)
	}
	if after, err := outer.Read(file); err != nil || string(after) != string(before) {
		t.Errorf("the overlay of the environment was changed: %v", err)
	}
}
