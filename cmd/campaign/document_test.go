package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The commands of the documentation that show how a promise is tested name
// tests that there are: go test says nothing of a pattern that matches none.
func TestDocumentedTests(t *testing.T) {
	const root = "../.."
	command := regexp.MustCompile(`go test ((?:\./[\w/]+ )+)-run '?([^' ` + "`" + `]+)`)
	found := 0
	for _, name := range []string{"README.md", "docs/security.md", "docs/architecture.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		// A | within a table of Markdown.
		for _, m := range command.FindAllStringSubmatch(strings.ReplaceAll(string(text), `\|`, "|"), -1) {
			found++
			for _, pattern := range strings.Split(m[2], "|") {
				test := regexp.MustCompile(`(?m)^func Test\w*` + pattern)
				matched := false
				for _, pack := range strings.Fields(m[1]) {
					files, err := filepath.Glob(filepath.Join(root, pack, "*_test.go"))
					if err != nil {
						t.Fatal(err)
					}
					for _, file := range files {
						source, err := os.ReadFile(file)
						if err != nil {
							t.Fatal(err)
						}
						matched = matched || test.Match(source)
					}
				}
				if !matched {
					t.Errorf("%s: %q matches no test in %s", name, pattern, m[1])
				}
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d commands were found", found)
	}
}
