package dialect_test

import (
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// The vendor that docs/dialects.md adds is the one that is compiled and tried
// here.
func TestDocumentedFifthVendor(t *testing.T) {
	source, err := os.ReadFile("fifth_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(documentation(t), "```go\n"+string(source)+"```") {
		t.Error("docs/dialects.md does not show fifth_test.go as it is")
	}
}

func TestFifthVendor(t *testing.T) {
	w := newWorld(t, map[string]web.Dialect{"acme": &dialect.Acme{APIKeys: []string{"k"}}})
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

var vendorTitles = map[string]string{"baasbox": "BaasBox", "buddy": "Buddy", "catalyze": "Catalyze", "payabli": "Payabli"}

// Each option that a dialect has is explained, under its vendor.
func TestDocumentedOptions(t *testing.T) {
	text := documentation(t)
	for _, name := range dialect.Names() {
		_, section, found := strings.Cut(text, "\n## "+vendorTitles[name]+"\n")
		if !found {
			t.Errorf("docs/dialects.md has no section for %s", name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		options := reflect.TypeOf(dialect.New(name)).Elem()
		for n := range options.NumField() {
			f := options.Field(n)
			option, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.IsExported() && !strings.Contains(section, "`"+option+"`") {
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
