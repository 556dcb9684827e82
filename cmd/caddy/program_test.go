package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// buildDir is the folder of the programs that several tests share.
var buildDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "caddy-password-reset-test-")
	builtIn = dir
	return dir, err
})

// builtIn is that folder, "" if no test has wanted one.
var builtIn string

// buildOnce builds the program once for all tests, with the race detector if
// the tests have it.
var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "caddy"), build(filepath.Join(dir, "caddy"))
})

func build(path string, flags ...string) error {
	args := append([]string{"build", "-ldflags=-w", "-o", path}, flags...)
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return nil
}

// TestMain lets the test program be Caddy, for the scripts.
func TestMain(m *testing.M) {
	testscript.Main(allTests{m}, map[string]func(){"caddy": main})
}

// allTests are the tests of this package, with what goes before and after them.
type allTests struct{ *testing.M }

func (m allTests) Run() int {
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if !told && !raceEnabled {
		// Worlds mostly wait for mails: more of them than there are processors
		// can do so at once. With the race detector they work.
		_ = flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
	code := m.M.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	return code
}

// binary returns the path of the built program.
func binary(t testing.TB) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// need returns the path of a program that a test needs. Without it the test is
// skipped, naming the Debian package; with REQUIRE_ALL=1 it fails.
func need(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if p := filepath.Join(dir, program); exec.Command("test", "-x", p).Run() == nil {
			return p
		}
	}
	lacks(t, program+" is missing: install the Debian package "+debianPackage)
	return ""
}

// lacks skips a test for a reason; with REQUIRE_ALL=1 the test fails.
func lacks(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
