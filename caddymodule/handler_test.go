package caddymodule_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestOrder holds our place among the other directives: whatever a site does
// with paths, visitors reach the form without a password, and what is not ours
// gets where it got before.
func TestOrder(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "index.html"), []byte("the app's page"), 0o644); err != nil {
		t.Fatal(err)
	}
	php, calls := fakeFastCGI(t)
	tests := []struct {
		name   string
		config config
		path   string // that is not ours
		status int
		text   string
	}{
		{"proxy", config{}, "/login", 200, "Log in"},
		{"single-page app", config{after: "root " + root + "\ntry_files {path} /index.html\nfile_server"}, "/any/view", 200, "the app's page"},
		{"single-page app in front", config{before: "root " + root + "\ntry_files {path} /index.html", after: "file_server"}, "/any/view", 200, "the app's page"},
		{"catch-all rewrite", config{before: "rewrite * /index.php?path={path}", after: `respond "{uri}"`}, "/deep", 200, "/index.php?path=%2Fdeep"},
		{"php_fastcgi", config{before: "root " + root + "\nphp_fastcgi " + php, after: "file_server"}, "/deep", 502, ""},
		{"basic_auth", config{before: "basic_auth {\n bob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n}", after: "respond app"}, "/any", 401, ""},
		{"canonical host", config{before: "redir /old /new", after: "respond app"}, "/old", 302, ""},
		{"respond", config{before: "respond app", after: "# nothing"}, "/any", 200, "app"},
		{"handle", config{before: "handle /api/* {\n respond api\n}\nhandle {\n respond app\n}", after: "# nothing"}, "/api/x", 200, "api"},
		{"uri", config{before: "uri strip_prefix /password-reset", after: "respond {uri}"}, "/any", 200, "/any"},
		{"error", config{before: "error * 418", after: "handle_errors {\n respond teapot 418\n}"}, "/any", 418, "teapot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.mustLoad(tt.config)
			before := calls.Load()
			w.expect(200, "<form", "GET", "/password-reset", "")
			w.expect(200, "<form", "GET", "/password-reset/", "")
			w.expect(200, "<form", "GET", "/PASSWORD-reset//./", "")
			w.expect(200, "<form", "GET", "/password-reset/sent", "")
			w.expect(410, "", "GET", "/password-reset/link/nothing", "")
			w.expect(404, "", "GET", "/password-reset/nothing", "")
			w.expect(302, "", "GET", "/forgot-password?user=1", "")
			w.expect(303, "", "POST", "/x/../Forgot-Password;a=b/", "user=1")
			w.expect(302, "", "GET", "/.well-known/change-password", "")
			w.ask("alice")
			if n := w.app.OldResets(); n != 0 {
				t.Errorf("the app's own reset page was reached %d times", n)
			}
			if calls.Load() != before {
				t.Error("a request of ours went on to PHP")
			}
			w.expect(tt.status, tt.text, "GET", tt.path, "")
			if resp, body := w.do("GET", "/password-resetter", ""); strings.Contains(body, "Forgot") && resp.StatusCode == 200 {
				t.Errorf("/password-resetter is not ours: %s", body)
			}
		})
	}
	if calls.Load() == 0 {
		t.Error("PHP was never reached")
	}
}

// TestMatcher holds that a matcher limits who gets our pages.
func TestMatcher(t *testing.T) {
	w := newWorld(t)
	caddyfile := w.caddyfile(config{before: "@wanted header X-Wanted yes", after: "respond app"})
	caddyfile = strings.Replace(caddyfile, "password_reset {\n\t\tbase_url", "password_reset @wanted {\n\t\tbase_url", 1)
	if err := load(caddyfile); err != nil {
		t.Fatal(err)
	}
	w.expect(200, "<form", "GET", "/password-reset", "", "X-Wanted", "yes")
	w.expect(200, "app", "GET", "/password-reset", "")
}

// TestFormats holds what the app gets where it wants a hash.
func TestFormats(t *testing.T) {
	for _, format := range []string{"bcrypt", "argon2id"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t)
			caddyfile := w.caddyfile(config{})
			caddyfile = strings.Replace(caddyfile, "/hooks/password-changed", "/hooks/password-changed {\n\t\t\tpassword_format "+format+"\n\t\t}", 1)
			if err := load(caddyfile); err != nil {
				t.Fatal(err)
			}
			_, policy := w.do("GET", "/password-reset/policy", "")
			if bounded := strings.Contains(policy, `"max_bytes":72`); bounded != (format == "bcrypt") {
				t.Errorf("policy is %s", policy)
			}
			w.ask("bob")
			link, err := w.mail("bob@example.com", 1).Link("https://app.example.com/password-reset")
			if err != nil {
				t.Fatal(err)
			}
			w.expect(200, "changed", "POST", "/password-reset/new", `{"token":"`+link[strings.LastIndexByte(link, '/')+1:]+`","password":"a calm sea at night"}`)
			deliveries := w.app.Deliveries()
			if last := deliveries[len(deliveries)-1]; last.Format != format || last.Site != "app.example.com" || last.Status/100 != 2 {
				t.Errorf("the app got %+v", last)
			}
		})
	}
}

// TestAppDown holds that a site is served, and a mail still promised, while
// the app behind is down.
func TestAppDown(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{})
	w.app.SetDown(true)
	w.inbox.SetDown(true)
	w.expect(503, "", "GET", "/", "")
	w.expect(200, "<form", "GET", "/password-reset", "")
	w.ask("alice")
}

// TestForwarded holds that headers of a peer that is no trusted proxy are
// noticed, once.
func TestForwarded(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{})
	for range 3 {
		w.expect(200, "", "GET", "/password-reset", "", "X-Forwarded-For", "192.0.2.1")
	}
	if lines := w.logged("trusted proxy"); len(lines) != 1 {
		t.Errorf("warned %d times, want once", len(lines))
	}
	w.mustLoad(config{top: "servers {\n trusted_proxies_unix\n trusted_proxies static private_ranges\n trusted_proxies_strict\n}"})
	w.expect(200, "", "GET", "/password-reset", "", "X-Forwarded-For", "192.0.2.1")
	if lines := w.logged("trusted proxy"); len(lines) != 1 {
		t.Error("warned of a trusted proxy")
	}
}

// TestClientLimit holds that the limit counts by the address that a trusted
// proxy names, /64 by /64, and that visitors without an address share none.
func TestClientLimit(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{
		top:     "servers {\n trusted_proxies_unix\n trusted_proxies static private_ranges\n trusted_proxies_strict\n}",
		options: "limits {\n per_ip 2/1h\n}",
	})
	ask := func(ip string) int {
		header := []string{"X-Forwarded-For", ip}
		if ip == "" {
			header = nil
		}
		resp, _ := w.do("POST", "/password-reset", `{"login":"alice"}`, header...)
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return resp.StatusCode
	}
	for _, step := range []struct {
		ip   string
		want int
	}{
		{"192.0.2.1", 202},
		{"::ffff:192.0.2.1", 202}, // the same in another spelling
		{"192.0.2.1", 429},
		{"6.6.6.6, 192.0.2.1", 429}, // what the visitor wrote before the proxy did
		{"192.0.2.2", 202},
		{"2001:db8::1", 202},
		{"2001:db8::2", 202},
		{"2001:db8::3", 429},
		{"2001:db8:0:1::3", 202},
		{"", 202},
		{"", 202},
		{"", 202},
	} {
		if got := ask(step.ip); got != step.want {
			t.Errorf("from %q: got %d, want %d", step.ip, got, step.want)
		}
	}
	for _, line := range w.logged("handled request") {
		if line["client_ip"] == "::ffff:192.0.2.1" {
			t.Error("one visitor has two addresses in the log")
		}
	}
}

// fakeFastCGI takes connections, counts them, and hangs up.
func fakeFastCGI(t *testing.T) (address string, calls *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	calls = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			c.Close()
		}
	}()
	return l.Addr().String(), calls
}

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
