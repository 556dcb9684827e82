package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct {
		path, want   string
		twisted, odd bool
	}{
		{"", "", false, false},
		{"/", "", false, false},
		{"/a", "/a", false, false},
		{"/a/", "/a", false, false},
		{"//A///B//", "/a/b", true, false},
		{"/a/./b/.", "/a/b", true, false},
		{"/a//", "/a", false, false},
		{"/a/.", "/a", true, false},
		{"/a/./", "/a", true, false},
		{"/x/../a", "/a", true, false},
		{"/x/y/../../a/..", "", true, false},
		{"/../a", "/a", true, true},
		{"/x/../../a", "/a", true, true},
		{"/..;/a", "/a", true, true},
		{"/a;b=c/d;e", "/a/d", true, false},
		{"/;/a", "/a", true, false},
		{"/.;x/a", "/a", true, false},
		{"/...", "/...", false, false},
		{`/a\b`, `/a\b`, false, true},
		{"/a\x00", "/a\x00", false, true},
		{"/a\x7f", "/a\x7f", false, true},
		{"/a%2fb", "/a%2fb", false, true},
		{"/100%", "/100%", false, false},
		{"/%zz", "/%zz", false, false},
		{"/\u212a\u017f", "/ks", false, true},
		{"/\u0130\u0131", "/ii", false, true},
		{"/a./b ", "/a/b", false, true},
		{"/a/ ", "/a/ ", false, true},
		{"/a/.. ", "/a/.. ", false, true},
		{"/a?b", "/a?b", false, true},
		{"/a#b", "/a#b", false, true},
		{"/É", "/É", false, false},
		{"*", "/*", false, false},
	} {
		got, twisted, odd := clean(nil, tt.path)
		if string(got) != tt.want || twisted != tt.twisted || odd != tt.odd {
			t.Errorf("clean(%q) = %q, %v, %v; want %q, %v, %v", tt.path, got, twisted, odd, tt.want, tt.twisted, tt.odd)
		}
	}
}

func TestIsPlain(t *testing.T) {
	for path, want := range map[string]bool{
		"/":                               true,
		"/assets/App.0123456789abcdef.js": true,
		"/~me/a-b_c/@scope/x,y=1:2/":      true,
		"/a..b":                           true,
		"":                                false,
		"*":                               false,
		"a/b":                             false,
		"//a":                             false,
		"/a//":                            false,
		"/.well-known/x":                  false,
		"/a/.":                            false,
		"/a/..":                           false,
		"/a/../b":                         false,
		"/a./b":                           false,
		"/a.":                             false,
		"/a;b":                            false,
		"/a%2fb":                          false,
		"/a b":                            false,
		`/a\b`:                            false,
		"/a\x00":                          false,
		"/a\x7f":                          false,
		"/a?b":                            false,
		"/a#b":                            false,
		"/\u017f":                         false,
	} {
		if got := isPlain(path); got != want {
			t.Errorf("isPlain(%q) = %v, want %v", path, got, want)
		}
	}
}

// FuzzPasses holds that the short look at a path lets nothing through that the
// long one would not.
func FuzzPasses(f *testing.F) {
	for _, s := range []string{
		"/index.html", "//forgot", "/FORGOTTEN", "/x/../forgot", "/forgot./", "/Users/1/reset/", "/x;/forgot", "/a/lost", "/api/Reset",
		"/password-reset", "/password-re\u017fet", "/v2/a/reset", "/x/v2", "/.well-known/change-password", "/x%2f..%2fforgot", "/v2%2Fa/reset", "/V2/%61/reset",
	} {
		f.Add(s)
	}
	plain := routesOf(f, "/password-reset", "/forgot*", "/users/*/reset")
	wide := routesOf(f, "/app/password-reset", "*/lost", "/help/*")
	spoken := routesOf(f, "/password-reset")
	for _, path := range []string{"/v2/{app}/reset", "/api/{rest...}"} {
		e, err := parseEndpoint(Endpoint{Path: path})
		if err != nil {
			f.Fatal(err)
		}
		spoken.speakers = append(spoken.speakers, &speaker{endpoints: []endpoint{e}})
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		for _, h := range []*Handler{plain, wide, spoken} {
			if !isCrooked(u) && h.passes(u) {
				if route, ours := h.read(&http.Request{URL: u}); ours {
					t.Errorf("%q passes and is %v", target, route)
				}
			}
		}
	})
}

// routesOf returns a handler that can do no more than compare paths.
func routesOf(t testing.TB, prefix string, takeOver ...string) *Handler {
	t.Helper()
	h := &Handler{prefix: prefix, routes: []byte(prefix), wellKnown: prefix}
	for _, s := range takeOver {
		p, err := parsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		h.takeOver = append(h.takeOver, p...)
	}
	return h
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"/a/../b;c//", "/..;/x", "/\x00", "/a%2f"} {
		f.Add(s)
	}
	h := routesOf(f, "/password-reset", "/forgot*")
	f.Fuzz(func(t *testing.T, path string) {
		got, _, odd := clean(nil, path)
		h.mayCover(path)
		if odd {
			return
		}
		again, twisted, odd := clean(nil, string(got))
		if string(again) != string(got) || twisted || odd {
			t.Errorf("clean(%q) = %q, which cleans to %q (%v, %v)", path, got, again, twisted, odd)
		}
		for _, bad := range []string{"//", "/./", "/../", ";"} {
			if strings.Contains(string(got)+"/", bad) {
				t.Errorf("clean(%q) = %q", path, got)
			}
		}
	})
}
