package dialect_test

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// The vendor that docs/dialects.md adds is one that is compiled here.
func TestDocumentedFifthVendor(t *testing.T) {
	_, example, _ := strings.Cut(documentation(t), "```go\npackage dialect\n")
	example, _, _ = strings.Cut(example, "```")
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(file string) bool {
		source, err := os.ReadFile(file)
		return err == nil && string(source) == "package dialect\n"+example
	}) {
		t.Error("what docs/dialects.md shows is no file of this package, such as fifth_test.go")
	}
}

func TestFifthVendor(t *testing.T) {
	acme := dialect.NewAcme().(*dialect.Acme)
	acme.APIKeys = []string{"k"}
	w := newWorld(t, map[string]web.Dialect{"acme": acme})
	for _, tt := range []struct {
		method, target, key, body string
		status                    int
	}{
		{http.MethodPost, "/acme/forgot/cesare", "k", `{"status":"ok"}`, 200},
		{http.MethodPost, "/acme/forgot/ghost", "k", `{"status":"ok"}`, 200},
		{http.MethodPost, "/acme/forgot/a%00b", "k", `{"status":"bad user"}`, 400},
		{http.MethodPost, "/acme/forgot/cesare", "", `{"status":"unauthorized"}`, 401},
		{http.MethodGet, "/acme/forgot/cesare", "k", `{"status":"method not allowed"}`, 405},
		{http.MethodPost, "/acme/forgot/cesare/", "k", `{"status":"not found"}`, 404},
	} {
		got := w.do(tt.method, tt.target, []string{"X-Acme-Key: " + tt.key}, "")
		if got.status != tt.status || got.body != tt.body {
			t.Errorf("%s %s with key %q: %d %s, want %d %s", tt.method, tt.target, tt.key, got.status, got.body, tt.status, tt.body)
		}
	}
}

// Each option that a dialect has is explained, under its vendor.
func TestDocumentedOptions(t *testing.T) {
	sections := strings.Split(documentation(t), "\n## ")[1:]
	for _, name := range dialect.Names() {
		n := slices.IndexFunc(sections, func(s string) bool {
			title, _, _ := strings.Cut(s, "\n")
			return strings.EqualFold(title, name)
		})
		if n < 0 {
			t.Errorf("docs/dialects.md has no section for %s", name)
			continue
		}
		options := reflect.TypeOf(dialect.New(name)).Elem()
		for i := range options.NumField() {
			f := options.Field(i)
			option, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.IsExported() && !strings.Contains(sections[n], "`"+option+"`") {
				t.Errorf("%s: docs/dialects.md does not explain %s", name, option)
			}
		}
	}
}

func documentation(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/dialects.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
