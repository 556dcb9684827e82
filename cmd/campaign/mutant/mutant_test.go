package mutant_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/mutant"
	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/overlay"
)

const root = "../../.."

// Each mutant still applies, to Go that parses, and names a test that there
// is: one that has come loose from the source would prove nothing.
func TestMutantsApply(t *testing.T) {
	tests := make(map[string][]string) // by package
	names := make(map[string]bool)
	for _, m := range mutant.All() {
		if names[m.String()] {
			t.Errorf("there are two called %s", m)
		}
		names[m.String()] = true
		if m.Old == m.New {
			t.Errorf("%s changes nothing", m)
		}
		o, err := overlay.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Replace(m.File, m.Old, m.New); err != nil {
			t.Errorf("%s: %v", m, err)
			continue
		}
		planted, err := o.Read(m.File)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.File, planted, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		if tests[m.Package] == nil {
			tests[m.Package] = testsOf(t, m.Package)
		}
		run, err := regexp.Compile(m.Run)
		if err != nil || !slices.ContainsFunc(tests[m.Package], run.MatchString) {
			t.Errorf("%s: %s has no test that matches %s", m, m.Package, m.Run)
		}
	}
}

// testsOf returns the names of the tests of a package, and of the fuzz targets,
// whose seeds are tests.
func testsOf(t *testing.T, pack string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pack), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// Each invariant has mutants of its own, and stands in the words that the
// documentation has for it.
func TestInvariants(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[int]int)
	for _, m := range mutant.All() {
		count[m.Invariant]++
	}
	for i, words := range mutant.Invariants {
		if !strings.Contains(string(text), "\n"+string(rune('1'+i))+". "+words+"\n") {
			t.Errorf("docs/architecture.md does not have invariant %d in these words: %s", i+1, words)
		}
		if count[i+1] < 3 {
			t.Errorf("invariant %d has %d mutants", i+1, count[i+1])
		}
	}
}

// The documentation shows how to run those of one invariant.
func TestString(t *testing.T) {
	m := mutant.Mutant{Invariant: 3, Gone: "the notice", File: "reset/notice.go"}
	if got, want := m.String(), "3 without: the notice (reset/notice.go)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
