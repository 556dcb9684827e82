package caddymodule_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestPlaceholders holds that other directives can tell what a request was and
// came to, the same for a login with an account and one without.
func TestPlaceholders(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{before: `header {
		X-Seen "{http.password_reset.route}/{http.password_reset.outcome}/{http.password_reset.reference}"
		defer
	}`})
	for _, tt := range []struct {
		method, path, body, want string
		reference                bool
	}{
		{"GET", "/password-reset", "", "ask/shown/", false},
		{"POST", "/password-reset", `{"login":"alice"}`, "ask/accepted/", true},
		{"POST", "/password-reset", `{"login":"nobody"}`, "ask/accepted/", true},
		{"GET", "/password-reset/link/nothing", "", "link/invalid/", false},
		{"POST", "/forgot-password", "user=1", "taken_over/shown/", false},
		{"GET", "/password-reset/nothing", "", "unknown/malformed/", false},
	} {
		resp, body := w.do(tt.method, tt.path, tt.body)
		got := resp.Header.Get("X-Seen")
		if tt.reference && len(got) == len(tt.want)+9 {
			got = got[:len(tt.want)]
		}
		if got != tt.want {
			t.Errorf("%s %s: %q, want %q\n%s", tt.method, tt.path, resp.Header.Get("X-Seen"), tt.want, body)
		}
	}
	if resp, _ := w.do("GET", "/login", ""); !strings.Contains(resp.Header.Get("X-Seen"), "{") { // they are not known
		t.Errorf("a request that is not ours has %q", resp.Header.Get("X-Seen"))
	}
	for _, line := range w.logged("handled request") {
		if line["logger"] != "http.handlers.password_reset" {
			continue
		}
		if line["route"] == nil || line["outcome"] == nil || (line["reference"] != nil) != (line["outcome"] == "accepted") {
			t.Errorf("logged %v", line)
		}
	}
}

// TestForeignRequestsCostNothing holds that a request which is not ours makes no
// garbage.
func TestForeignRequestsCostNothing(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{})
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range app.(*caddyhttp.App).Servers {
		h := handlerIn(s.Routes)
		if h == nil {
			t.Fatal("no handler in the configuration that runs")
		}
		next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
		r, answer := httptest.NewRequest(http.MethodGet, "/api/v1/users/42", nil), httptest.NewRecorder()
		if n := testing.AllocsPerRun(100, func() { _ = h.ServeHTTP(answer, r, next) }); n != 0 {
			t.Errorf("%g allocations", n)
		}
	}
}
