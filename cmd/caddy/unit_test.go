package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// unitFile is the service that operators are given.
const unitFile = "../../docs/deploy/caddy-password-reset.service"

// mostExposed is how much systemd may find the service to be open to, of 10.
const mostExposed = 1.6

func TestUnitIsSound(t *testing.T) {
	t.Parallel()
	analyze := need(t, "systemd-analyze", "systemd")
	content, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// The program has to be there to be verified, and is not on this machine.
	unit := filepath.Join(t.TempDir(), filepath.Base(unitFile))
	program := unit + ".program"
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	installed := strings.ReplaceAll(string(content), "/usr/local/bin/caddy", program)
	if strings.Count(installed, program) != 2 {
		t.Errorf("the unit does not start and reload /usr/local/bin/caddy:\n%s", content)
	}
	if err := os.WriteFile(unit, []byte(installed), 0o644); err != nil {
		t.Fatal(err)
	}
	// What it does not know it warns about, and ends with 0 all the same.
	if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	level := regexp.MustCompile(`Overall exposure level for .*: ([0-9.]+) `).FindSubmatch(out)
	if level == nil {
		t.Fatalf("systemd-analyze security names no level:\n%s", out)
	}
	if exposed, err := strconv.ParseFloat(string(level[1]), 64); err != nil || exposed > mostExposed {
		t.Errorf("exposure %s instead of %v at most:\n%s", level[1], mostExposed, out)
	}
}
