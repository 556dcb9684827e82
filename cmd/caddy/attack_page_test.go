package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Every answer of every route, to every method and in every form, has what
// keeps a browser from framing, storing, guessing or telling; nothing can be
// sent from a page of another site; and what is not there is 404.
func TestTrialAttackPage(t *testing.T) {
	t.Parallel()
	s := besiege(t, "pages and browsers", people(1))
	routes := []string{
		"", "/", "/sent", "/code", "/new", "/done", "/pending", "/policy", "/link", "/link/", "/link/x", "/link/" + strings.Repeat("a", 64), "/link/a/b", "/cancel", "/cancel/x", "/cancel/" + strings.Repeat("a", 64), "/cancel/a/b",
		"/nothing", "/sent/x", "/new/x", "/policy/x", "/.env", "/debug/pprof", "/metrics", "/style.css", "/%00", "/%2e%2e", "/<MARK>", "/\"'", "?x=<MARK>", "/link/%3CMARK%3E", "/a;b", "/..%2f",
	}
	unknownRoutes := []string{"/nothing", "/sent/x", "/new/x", "/policy/x", "/.env", "/debug/pprof", "/metrics", "/style.css"}
	bodies := []string{"", "login=%3CMARK%3E%22%27", "login=%3CMARK%3E&code=12345678", "token=%3CMARK%3E&password=%3CMARK%3E&password_repeat=%3CMARK%3E", `{"login":"<MARK>"}`, `{"token":"<MARK>","password":"<MARK>"}`, `{`}
	accepts := [][]string{nil, {"Accept", "application/json"}, {"Accept", "text/html, application/json"}, {"Accept", "<MARK>", "Accept-Language", "<MARK>"}, {"Accept-Language", "ar"}, {"Content-Type", "<MARK>"}, {"Cookie", "password-reset=<MARK>"}}
	fill := strings.NewReplacer("MARK", s.mark)
	type try struct {
		method, target, body string
		header               []string
	}
	var tries []try
	for _, route := range routes {
		for i, method := range append([]string{"GET", "POST"}, methods...) {
			if method == "CONNECT" {
				continue
			}
			for j := range s.tr.Size(1, len(accepts)) {
				body := ""
				if method == "POST" || method == "PUT" {
					body = fill.Replace(bodies[(i+j+len(route))%len(bodies)])
				}
				var header []string
				for _, h := range accepts[(i+j+len(route))%len(accepts)] {
					header = append(header, fill.Replace(h))
				}
				tries = append(tries, try{method, surface + fill.Replace(route), body, header})
			}
		}
		for _, body := range bodies {
			tries = append(tries, try{"POST", surface + fill.Replace(route), fill.Replace(body), nil})
		}
	}
	for _, path := range slices.Concat(takenOver[:2], spoken, []string{"/.well-known/change-password", "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"}) {
		for i, method := range methods {
			if method != "CONNECT" {
				tries = append(tries, try{method, path, "", nil}, try{method, path + "/<" + s.mark + ">", "", accepts[i%2]})
			}
		}
	}
	s.each(len(tries), func(i int) {
		try := tries[i]
		r, ok := s.hit(s.raw(try.method, try.target, try.body, append(s.visitor(), try.header...)...))
		if !ok {
			return
		}
		route := strings.TrimPrefix(try.target, surface)
		if slices.Contains(unknownRoutes, route) && try.method == "GET" && r.Status != http.StatusNotFound {
			s.tr.Violation("%s %s is answered %d", try.method, try.target, r.Status)
		}
		if try.method != "GET" && try.method != "POST" && try.method != "HEAD" && strings.HasPrefix(try.target, surface) && r.Status != http.StatusNotFound && r.Status != http.StatusBadRequest &&
			(r.Status != http.StatusMethodNotAllowed || r.Header.Get("Allow") == "" || r.Header.Get("Access-Control-Allow-Origin") != "") {
			s.tr.Violation("%s %s is answered %d with %q", try.method, try.target, r.Status, r.Header)
		}
		if location := r.Header.Get("Location"); strings.Contains(location, s.mark) {
			s.tr.Violation("%s %s leads to %s", try.method, try.target, location)
		}
	})
	s.checkForeign()
	s.checkCookies()
	s.inPaths = true
	s.lift()
}

// checkForeign sends all that changes something as pages of this and of other
// sites make a browser send it (Fetch Metadata, RFC 6454).
func (s *siege) checkForeign() {
	posts := []phrase{
		{"POST", surface, nil, "login=nobody-9"},
		{"POST", surface, nil, `{"login":"nobody-9"}`},
		{"POST", surface + "/code", nil, "login=nobody-9&code=12345678"},
		{"POST", surface + "/new", nil, "token=x&password=x&password_repeat=x"},
		{"POST", surface + "/new", nil, `{"token":"x","password":"x"}`},
		{"POST", surface + "/cancel/x", nil, "x=y"},
		{"POST", "/user/password/reset/x", nil, "password=x&repeat-password=x"},
		{"POST", "/user/password/reset/x.json", nil, "password=x&repeat-password=x"},
		payabliSaid(`{"email":"nobody-9@example.com"}`),
	}
	for _, tt := range []struct {
		header []string
		passes bool
	}{
		{nil, true},
		{[]string{"Origin", s.Site}, true},
		{[]string{"Origin", s.Site, "Sec-Fetch-Site", "same-origin"}, true},
		{[]string{"Origin", "null", "Sec-Fetch-Site", "same-origin"}, true},
		{[]string{"Sec-Fetch-Site", "none"}, true},
		{[]string{"Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Sec-Fetch-Site", "same-site"}, false},
		{[]string{"Origin", "https://evil.test"}, false},
		{[]string{"Origin", "null"}, false},
		{[]string{"Origin", "null", "Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Origin", s.Site + ".evil.test"}, false},
		{[]string{"Origin", "https://evil.test", "X-Forwarded-Host", "evil.test", "Forwarded", "host=evil.test"}, false},
	} {
		for _, p := range posts {
			r, ok := s.hit(s.spell(p, tt.header...))
			if ok && (r.Status == http.StatusForbidden) == tt.passes {
				s.tr.Violation("%s %s with %q is answered %d", p.method, p.target, tt.header, r.Status)
			}
		}
	}
}

// checkCookies holds that a cookie is a note of what this browser has typed,
// and nothing if there are two, or it is not ours.
func (s *siege) checkCookies() {
	asked := s.do("POST", surface, "login=nobody-9", s.visitor()...)
	own, _, _ := strings.Cut(asked.Header.Get("Set-Cookie"), ";")
	name, value, _ := strings.Cut(own, "=")
	flipped := value[:len(value)-2] + swapCase(value[len(value)-2:])
	for _, tt := range []struct {
		cookie string
		known  bool
	}{
		{own, true},
		{"x=y; " + own + "; z", true},
		{own + "; " + own, false},
		{own + "; " + name + "=x", false},
		{name + "=x; " + own, false},
		{name + "=" + flipped + "A", false},
		{name + "=" + value[:len(value)/2], false},
		{name + "=", false},
		{strings.ToUpper(name) + "=" + value, false},
		{name + "=" + strings.Repeat("A", len(value)), false},
	} {
		r, ok := s.hit(s.raw("GET", surface+"/sent", "", append(s.visitor(), "Cookie", tt.cookie)...))
		if ok && (r.Status != http.StatusOK || strings.Contains(r.Body, "nobody-9") != tt.known) {
			s.tr.Violation("with the cookie %.60q the page is answered %d: %s", tt.cookie, r.Status, r.Body)
		}
	}
}
