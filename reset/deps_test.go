package reset_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The domain must stay free of the technologies around it.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("listing dependencies: %v", err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		for _, banned := range []string{"net/http", "net/smtp", "github.com/caddyserver/", "go.etcd.io/", "github.com/emersion/"} {
			if pkg == banned || strings.HasPrefix(pkg, banned) {
				t.Errorf("reset depends on %s", pkg)
			}
		}
	}
}
