package embeddedstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
)

// fullDiskVariable is set for the process that writes to a full disk.
const fullDiskVariable = "EMBEDDEDSTORE_TEST_FULL_DISK"

// restorable returns the path of a store with "old" in it, and a copy with "new"
// beside it.
func restorable(t *testing.T) (path string) {
	t.Helper()
	path = newPath(t)
	s := open(t, path)
	mustPut(t, s, "a", "new")
	copy := export(t, s)
	mustPut(t, s, "a", "old")
	if err := errors.Join(s.Close(), os.WriteFile(path+".backup", copy, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// helper runs a restore under strace, and returns what it said of it.
func helper(t *testing.T, path string, options ...string) (trace string, err error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", append(append([]string{"-f", "-y", "-o", out}, options...), os.Args[0])...)
	cmd.Env = append(os.Environ(), installVariable+"="+path)
	said, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("strace is not installed")
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said)
	}
	data, _ := os.ReadFile(out)
	return string(data), err
}

// steps are the calls by which a restore changes files.
const steps = "pwrite64,write,ftruncate,fsync,fdatasync,linkat,renameat,renameat2,unlinkat"

// A restore that is killed at any of its steps leaves the one store or the
// other, whole.
func TestInstallKilled(t *testing.T) {
	ended := map[string]int{}
	for _, step := range strings.Split(steps, ",") {
		for n := 1; ; n++ {
			path := restorable(t)
			_, err := helper(t, path, "-e", "trace="+step, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", step, n))
			s := open(t, path)
			got := mustGet(t, s, "a")
			ended[got]++
			if got != "old" && got != "new" {
				t.Errorf("killed at %s number %d: %q", step, n, got)
			}
			alone(t, path)
			if err == nil {
				break // there is no such step
			}
			if n == 40 {
				t.Fatalf("%s has no end: %v", step, err)
			}
		}
	}
	t.Logf("%v", ended)
	if ended["old"] == 0 || ended["new"] == 0 {
		t.Errorf("stores after a kill: %v; want both", ended)
	}
}

// What a step fails for, such as a full disk, leaves the previous store.
func TestInstallFails(t *testing.T) {
	for _, step := range []struct{ call, fault string }{
		{"write", "ENOSPC"}, {"fsync", "EIO"}, {"linkat", "EPERM"}, {"renameat", "EIO"},
	} {
		failed := 0
		for n := range 8 { // the runtime makes some of the calls
			path := restorable(t)
			_, err := helper(t, path, "-e", "trace="+step.call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", step.call, step.fault, n+1))
			want := "new"
			if err != nil {
				failed++
				want = "old"
			}
			if got := mustGet(t, open(t, path), "a"); got != want {
				t.Errorf("%s at %s number %d, then %v: %q; want %q", step.fault, step.call, n+1, err, got, want)
			}
			alone(t, path)
			if names, _ := filepath.Glob(path + ".before*"); err != nil && len(names) > 0 {
				t.Errorf("%s at %s number %d: %q were left behind", step.fault, step.call, n+1, names)
			}
		}
		if failed == 0 {
			t.Errorf("%s: nothing failed", step.call)
		}
	}
}

// A power cut must not find a name whose file is not on the disk: the copy is
// synced before it gets its name, the second name of the old store before it
// loses the first one, and the folder in the end.
func TestInstallOrder(t *testing.T) {
	path := restorable(t)
	trace, err := helper(t, path, "-e", "trace=write,pwrite64,fsync,fdatasync,linkat,renameat,renameat2")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	var order []string
	for line := range strings.Lines(trace) {
		for _, of := range []struct{ what, pattern string }{
			{"write", `(write|pwrite64)\(.*` + regexp.QuoteMeta(path) + `\.\d+\.copy>`},
			{"sync copy", `(fsync|fdatasync)\(\d+<` + regexp.QuoteMeta(path) + `\.\d+\.copy>`},
			{"sync folder", `fsync\(\d+<` + regexp.QuoteMeta(dir) + `>`},
			{"keep", `linkat\(.*before-restore`},
			{"replace", `renameat2?\(.*\.copy"`},
		} {
			if regexp.MustCompile(of.pattern).MatchString(line) && (len(order) == 0 || order[len(order)-1] != of.what) {
				order = append(order, of.what)
			}
		}
	}
	if want := []string{"write", "sync copy", "keep", "sync folder", "replace", "sync folder"}; !slices.Equal(order, want) {
		t.Errorf("got %q, want %q in\n%s", order, want, trace)
	}
}

// On a disk that is full, a copy is refused with the remedy, and the store goes on.
// The limit is of a process of its own: go test logs to a file of this one, and
// what it cannot write fails the whole package.
func TestCopyOnFullDisk(t *testing.T) {
	if os.Getenv(fullDiskVariable) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), fullDiskVariable+"=1")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, said)
		}
		return
	}
	s := openNew(t)
	flood(t, s, 3000, 0)
	data := export(t, s)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	small := syscall.Rlimit{Cur: 1 << 20, Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
	path := newPath(t)
	_, received := embeddedstore.Receive(t.Context(), path, bytes.NewReader(data))
	var copy bytes.Buffer
	exported := s.Export(t.Context(), &copy, nil)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{received, exported} {
		if err == nil || !strings.Contains(err.Error(), "raise the limit") {
			t.Errorf("got %v; want the remedy", err)
		}
	}
	if copy.Len() > 0 {
		t.Error("part of a copy was written")
	}
	alone(t, path)
	alone(t, s.Path())
	mustPut(t, s, "a", "1")
}
