package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// routed sends a GET for a raw request path and returns the status: 299 if it
// was passed on. Unlike httptest it parses the path as a server does.
func routed(t *testing.T, h *web.Handler, path string) (status int, location string) {
	t.Helper()
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "https://app.test/", nil)
	r.URL, r.RequestURI = u, path
	w := httptest.NewRecorder()
	handle(h).ServeHTTP(w, r)
	return w.Code, w.Header().Get("Location")
}

func TestRoute(t *testing.T) {
	o := options(&fakeSite{})
	o.TakeOver = []string{"/forgot-password", "/users/*/reset*"}
	h := newHandler(t, o)
	const passed, form = 299, "/password-reset"
	for _, tt := range []struct {
		path     string
		status   int
		location string
	}{
		{"/", passed, ""},
		{"/app", passed, ""},
		{"/password-resetter", passed, ""},
		{"/password-reset-x/new", passed, ""},
		{"/x/password-reset", passed, ""},
		{"/forgot-password-2", passed, ""},
		{"/projects/group%2Fproject", passed, ""},
		{"/caf%C3%A9/100%25", passed, ""},
		{"/.well-known/acme-challenge/x", passed, ""},

		{"/password-reset", 200, ""},
		{"/password-reset/", 200, ""},
		{"/PASSWORD-Reset", 200, ""},
		{"//password-reset//sent/", 200, ""},
		{"/./password-reset/./sent", 200, ""},
		{"/x/../password-reset", 200, ""},
		{"/p%61ssword-reset", 200, ""},
		{"/password-reset;x=1", 200, ""},
		{"/password-reset/link/" + liveToken, 200, ""},
		{"/password-reset/link/" + liveToken + "/", 200, ""},
		{"/password-reset/LINK/" + liveToken, 200, ""},

		{"/password-reset/nothing", 404, ""},
		{"/password-reset/sent/x", 404, ""},
		{"/password-reset/new%00", 404, ""},
		{"/password-reset%2fnew", 404, ""},
		{"/x%2f..%2fpassword-reset", 404, ""},
		{"/password-reset/..%2fadmin", 404, ""},

		{"/forgot-password", 302, form},
		{"/FORGOT-PASSWORD", 302, form},
		{"//forgot-password", 302, form},
		{"/./forgot-password", 302, form},
		{"/x/../forgot-password", 302, form},
		{"/forgot-password/", 302, form},
		{"/forgot-password;jsessionid=1", 302, form},
		{"/forgot%2Dpassword?next=https://evil.test", 302, form},
		{"/users/7/reset/edit", 302, form},
		{"/forgot-password%00", 404, ""},
		{"/x%2f..%2fforgot-password", 404, ""},
		{"/forgot-password%2f..", 404, ""},
		{"/forgot-password/../x", 404, ""},
		{"/x;/forgot-password", 404, ""},
		{"/..;/forgot-password", 404, ""},
		{"/../forgot-password", 404, ""},
		{`/x%5c..%5cforgot-password`, 404, ""},
		{"/users/7/x%5c..%5creset/edit", 404, ""},
		{"/forgot%252Dpassword", 404, ""},
		{"/forgot-password.", 404, ""},
		{"/forgot-password%20", 404, ""},
		{"/forgot-password%23", 404, ""},
		{"/forgot-password%3fx", 404, ""},
		{"/forgot-pa%C5%BF%C5%BFword", 404, ""},
		{"/why%3f", passed, ""},
		{"/v1./x", passed, ""},

		{"/.well-known/change-password", 302, form},
		{"/.well-known/change-password/", 302, form},
		{"/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", 404, ""},
	} {
		status, location := routed(t, h, tt.path)
		if status != tt.status || location != tt.location {
			t.Errorf("%s: %d %q, want %d %q", tt.path, status, location, tt.status, tt.location)
		}
	}
}

// A request target without a leading slash matches nothing in Caddy, and a
// server behind it may put the slash there: it is refused on every site of ours,
// which keeps hooks closed as well.
func TestRouteRefusesTargetsWithoutASlash(t *testing.T) {
	h := newHandler(t, options(&fakeSite{}))
	for _, target := range []string{"x:forgot-password", "x:%2fforgot-password", "http:password-reset", "x:%2fhooks/lookup"} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if _, ours := h.Route(&http.Request{URL: u}); !ours {
			t.Errorf("%s passes, and the proxy sends GET %s", target, u.RequestURI())
		}
	}
	for _, target := range []string{"*", "http://app.test", "http://app.test/app"} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if _, ours := h.Route(&http.Request{URL: u}); ours {
			t.Errorf("%s is refused", target)
		}
	}
}

func TestChangePassword(t *testing.T) {
	const probe = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
	o := options(&fakeSite{})
	o.ChangePassword = "https://accounts.test/password"
	h := newHandler(t, o)
	if status, location := routed(t, h, "/.well-known/change-password"); status != 302 || location != o.ChangePassword {
		t.Errorf("to another page: %d %q", status, location)
	}
	o.ChangePassword = "off"
	h = newHandler(t, o)
	for _, path := range []string{"/.well-known/change-password", probe} {
		if status, _ := routed(t, h, path); status != 299 {
			t.Errorf("off: %s answers %d", path, status)
		}
	}
}

// A token has one spelling; whatever else leads to the link page finds nothing,
// and does not even ask.
func TestTokenSpelling(t *testing.T) {
	for _, token := range []string{
		liveToken[:len(liveToken)-1], liveToken + "=", liveToken + "%00", strings.ToUpper(liveToken),
		strings.Replace(liveToken, "-", "+", 1), liveToken + "%20", "%6c" + liveToken[1:], "%256c" + liveToken[1:],
		liveToken + ";x", liveToken + "/.", "x/" + liveToken, liveToken + "/x", "", "%2f" + liveToken,
		strings.Repeat("a", 100_000),
	} {
		site := &fakeSite{}
		status, _ := routed(t, newHandler(t, options(site)), "/password-reset/link/"+token)
		// A path with several readings is refused before it is looked at.
		if status != http.StatusGone && status != http.StatusNotFound {
			t.Errorf("%.40q: %d", token, status)
		}
		for _, call := range site.calls {
			if call != "Look" {
				t.Errorf("%.40q: %s was called", token, call)
			}
		}
	}
}

var foreignPaths = []string{
	"/", "/index.html", "/assets/app.0123456789abcdef.js", "/api/v1/users/42?expand=all",
	"/A//b/./c;d=e/", "/projects/group%2Fproject", "/caf%C3%A9", "/x/../y", "/passwords",
	"/user/caf%C3%A9/password", "/v2/a%2Fb/reset/c%20d", "/v2/./a//reset/../b;c/%2e", "/api/User/",
}

func TestRouteAllocatesNothing(t *testing.T) {
	h := newHandler(t, polyglot(&fakeSite{}))
	for _, path := range foreignPaths {
		r := httptest.NewRequest(http.MethodGet, "https://app.test"+path, nil)
		if _, ok := h.Route(r); ok {
			t.Errorf("%s is ours", path)
		}
		if n := testing.AllocsPerRun(100, func() { h.Route(r) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func BenchmarkRouteForeign(b *testing.B) {
	for name, o := range map[string]web.Options{"plain": options(&fakeSite{}), "polyglot": polyglot(&fakeSite{})} {
		h, err := web.New(o)
		if err != nil {
			b.Fatal(err)
		}
		for _, path := range foreignPaths {
			b.Run(name+path, func(b *testing.B) {
				r := httptest.NewRequest(http.MethodGet, "https://app.test"+path, nil)
				b.ReportAllocs()
				for b.Loop() {
					h.Route(r)
				}
			})
		}
	}
}

func FuzzRoute(f *testing.F) {
	for _, s := range []string{"/password-reset/link/x", "/x/../forgot", "/forgot%2f..", "/..;/FORGOT", "*", "/v2/./reset/user/%2e", "/user//password/reset/", "/USERS/%70assword"} {
		f.Add(s)
	}
	h, err := web.New(polyglot(&fakeSite{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "https://app.test/", nil)
		r.URL = u
		w := httptest.NewRecorder()
		handle(h).ServeHTTP(w, r)
		// The plainest reading of all must not get through to the app.
		if w.Code == 299 && (u.Path == "/forgot" || strings.HasPrefix(u.Path, "/password-reset/") || strings.HasPrefix(u.Path, "/forgot")) {
			t.Errorf("%q is passed on", path)
		}
		if w.Code == 299 && shaped(u.EscapedPath()) {
			t.Errorf("%q, a path of a dialect, is passed on", path)
		}
		if w.Code == 299 && w.Header().Get("Cache-Control") != "" {
			t.Errorf("%q is passed on with our headers", path)
		}
	})
}

// shaped tells whether a router that does not normalise a path, but for its
// case and escapes, would take it for one of the shapes.
func shaped(escaped string) bool {
	segments := strings.Split(escaped, "/")
	for i := range segments {
		segments[i], _ = url.PathUnescape(segments[i])
	}
	for _, paths := range shapes {
		for _, path := range paths {
			wanted := strings.Split(path, "/")
			if len(wanted) != len(segments) {
				continue
			}
			matches := true
			for i, want := range wanted {
				matches = matches && (strings.HasPrefix(want, "{") && segments[i] != "" || strings.EqualFold(want, segments[i]))
			}
			if matches {
				return true
			}
		}
	}
	return false
}
