package crashpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/crashpoint"
	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/overlay"
)

// Every statement that runs is a point, and at each the program dies: in the
// right place, at the right time, and with its lines where they were.
func TestPoints(t *testing.T) {
	dir := t.TempDir()
	o, err := overlay.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := crashpoint.Plant(o, "cmd/campaign/crashpoint/testdata/steps"); err != nil {
		t.Fatal(err)
	}
	flag, err := o.Flag()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "steps")
	if out, err := exec.CommandContext(t.Context(), "go", "build", flag, "-o", program, "./testdata/steps").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := func(env ...string) (string, error) {
		c := exec.CommandContext(t.Context(), program)
		c.Env = append(os.Environ(), env...)
		out, err := c.Output()
		return string(out), err
	}
	list := filepath.Join(dir, "list")
	whole, err := run(crashpoint.ListVariable + "=" + list)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(whole, "main.go:31\n") {
		t.Errorf("the lines are not where they were:\n%s", whole)
	}
	points, err := crashpoint.Read(list)
	if err != nil {
		t.Fatal(err)
	}
	want := []crashpoint.Point{
		{"main.main main.go:15", 1},
		{"main.main main.go:16", 1},
		{"main.main main.go:17", 4},
		{"main.(*counter).step main.go:24", 4},
		{"main.(*counter).step main.go:26", 2},
		{"main.(*counter).step main.go:28", 2},
		{"main.main main.go:19", 1},
		{"main.where main.go:31", 1},
		{"main.where main.go:31.2", 1},
	}
	if diff := cmp.Diff(want, points); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct{ point, hit, want string }{
		{"main.main main.go:15", "", ""},
		{"main.(*counter).step main.go:26", "2", "even\nodd\n"},
		{"main.where main.go:31", "1", "even\nodd\neven\nodd\n"},
		{"main.main main.go:15", "2", whole},
		{"nowhere", "1", whole},
	} {
		out, err := run(crashpoint.PointVariable+"="+tt.point, crashpoint.HitVariable+"="+tt.hit)
		died := false
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			status, _ := exit.Sys().(syscall.WaitStatus)
			died = status.Signaled() && status.Signal() == syscall.SIGKILL
		}
		if out != tt.want || died != (tt.want != whole) {
			t.Errorf("%s, hit %s: died %v (%v) after\n%s", tt.point, tt.hit, died, err, out)
		}
	}
}
