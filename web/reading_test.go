package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// A habit is something that a server does to a path before it looks for a
// route. Servers have any number of them, in this order.
type habit struct {
	name string
	do   func(string) string
}

var habits = []habit{
	{"decodes", decoded},
	{"decodes again", decoded},
	{"cuts at what ends a string or a path", func(p string) string {
		if i := strings.IndexFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '?' || r == '#' }); i >= 0 {
			return p[:i]
		}
		return p
	}},
	{"takes backslashes for slashes", func(p string) string { return strings.ReplaceAll(p, `\`, "/") }},
	{"drops parameters", func(p string) string { return parameters.ReplaceAllString(p, "") }},
	{"merges slashes", func(p string) string { return slashes.ReplaceAllString(p, "/") }},
	{"resolves dots", resolved},
	{"drops the slash at the end", func(p string) string { return strings.TrimSuffix(p, "/") }},
}

var (
	parameters = regexp.MustCompile(`;[^/]*`)
	slashes    = regexp.MustCompile(`/+`)
)

// decoded resolves escapes once; those that are damaged stay.
func decoded(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if i+2 < len(p) && p[i] == '%' {
			if s, err := url.PathUnescape(p[i : i+3]); err == nil {
				b.WriteString(s)
				i += 2
				continue
			}
		}
		b.WriteByte(p[i])
	}
	return b.String()
}

// resolved takes a step back for "..", and none above the root.
func resolved(p string) string {
	var out []string
	for s := range strings.SplitSeq(strings.TrimPrefix(p, "/"), "/") {
		switch s {
		case ".":
		case "..":
			out = out[:max(len(out)-1, 0)]
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

// readings returns all that servers might make of a path.
func readings(path string) map[string]bool {
	seen := map[string]bool{path: true}
	for _, h := range habits {
		for _, p := range slices.Collect(maps.Keys(seen)) {
			seen[h.do(p)] = true
		}
	}
	return seen
}

// guarded are routes that an app might have, of which none may be reached.
var guarded = []struct {
	takeOver string
	route    *regexp.Regexp // without regard to case, as Unicode folds it
}{
	{"/forgot*", regexp.MustCompile(`(?i)^/forgot[^/]*$`)},
	{"/account/lost-password", regexp.MustCompile(`(?i)^/account/lost-password$`)},
	{"/users/*/reset", regexp.MustCompile(`(?i)^/users/[^/]+/reset$`)},
	{"", regexp.MustCompile(`(?i)^/password-reset(/new|/link/[^/]+)?$`)},
	{"", regexp.MustCompile(`(?i)^/v2/[^/]+/reset/user/[^/]+$`)},
	{"", regexp.MustCompile(`(?i)^/user/[^/]+/password/reset$`)},
	{"", regexp.MustCompile(`(?i)^/users/password$`)},
}

// reachable returns the route that some server would take a path for, or "".
func reachable(path string) string {
	for p := range readings(path) {
		for _, g := range guarded {
			if g.route.MatchString(p) {
				return p
			}
		}
	}
	return ""
}

// guard returns a site that takes all of them over.
func guard(f *testing.F) *web.Handler {
	o := polyglot(&fakeSite{})
	o.TakeOver = nil
	for _, g := range guarded {
		if g.takeOver != "" {
			o.TakeOver = append(o.TakeOver, g.takeOver)
		}
	}
	h, err := web.New(o)
	if err != nil {
		f.Fatal(err)
	}
	return h
}

// FuzzReading holds that nothing is passed on that the app could read as a
// reset route, whatever its server does to paths (CVE-2026-27587).
func FuzzReading(f *testing.F) {
	for _, s := range []string{
		"/forgot", "/FORGOT%2f..", "/x/../forgot", "/..;/forgot-password", "/x%5c..%5cforgot", "/account//lost-password", "/account/./LOST-password;a=b",
		"/users/1/reset", "/users/%2e%2e/reset/", "/x%2f..%2fusers/1/reset", "/users/a%2Fb/reset", "/users/a;b/reset%00.png", "/account%2flost-password",
		"/v2/a/reset/user/b", "/v2/%2e/reset/user/c", "/user/./password/reset", "/%75sers/pa%2573sword", "/forgot%3Fx", "/forgot%23x", "/a/%2e%2e%2fforgot",
		"/password-re%C5%BFet", "/%2fpassword-reset", "/password-reset%2Fnew", "/forgot./", "/users//password", "/index.html", "/a/b/c;d?e=f",
	} {
		f.Add(s)
	}
	h := guard(f)
	f.Fuzz(func(t *testing.T, target string) {
		if len(target) > 200 || strings.Count(target, "/") > 20 {
			t.Skip("longer ones have no more kinds of readings")
		}
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || u.Scheme != "" {
			t.Skip("no server gets this far")
		}
		r := httptest.NewRequest(http.MethodGet, "https://app.test/", nil)
		r.URL, r.RequestURI = u, target
		if _, ours := h.Route(r); ours {
			return
		}
		if route := reachable(u.EscapedPath()); route != "" {
			t.Errorf("%q is passed on, and may be read as %q", target, route)
		}
	})
}

// The readers above find what they are there for: a router that looks at the
// path as net/http has decoded it would let these through.
func TestReadings(t *testing.T) {
	for path, want := range map[string]string{
		"/x%2f..%2fforgot":      "/forgot",
		"/x;/..;/forgot":        "/forgot",
		"//users//1/reset":      "/users/1/reset",
		"/%2566orgot":           "/forgot",
		`/x\..\forgot`:          "/forgot",
		"/forgot%00.png":        "/forgot",
		"/v2/a/./reset/user/b/": "/v2/a/reset/user/b",
		"/PASSWORD-re%C5%BFet":  "/PASSWORD-reſet",
		"/users/;x/1;y/reset/":  "/users/1/reset",
	} {
		got := readings(path)
		if !got[want] {
			t.Errorf("%s is not read as %s", path, want)
		}
		if reachable(path) == "" {
			t.Errorf("%s reaches nothing", path)
		}
	}
	for _, path := range []string{"/", "/index.html", "/forgetful", "/users", "/users/1/2/reset", "/v2/a"} {
		if route := reachable(path); route != "" {
			t.Errorf("%s is read as %s", path, route)
		}
	}
}
