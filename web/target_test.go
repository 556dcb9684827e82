package web

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzTarget holds that where a person is sent after a reset is on this host or
// at an address that says https, in the eyes of a browser (WHATWG URL, section
// 4.4): it takes backslashes for slashes and drops controls (CWE-601).
func FuzzTarget(f *testing.F) {
	for _, s := range []string{
		"/login", "/login?next=/x#y", "//evil.test", `/\\evil.test`, "/\t/evil.test", "https://app.test/login", "https:evil.test", "javascript:alert(1)",
		"http://localhost/x", "http://127.0.0.1:3000/", "HTTPS://a.test", "https://app.test@evil.test", "https:///x", "/%5cevil.test", "data:,x", "http://evil.test/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkTarget(s) != nil {
			return
		}
		seen := strings.Map(func(r rune) rune {
			switch r {
			case '\\':
				return '/'
			case '\t', '\n', '\r':
				return -1
			}
			return r
		}, strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }))
		if strings.HasPrefix(seen, "/") {
			if strings.HasPrefix(seen, "//") {
				t.Errorf("%q leads to another host", s)
			}
			return
		}
		u, err := url.Parse(seen)
		if err != nil || u.User != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
			t.Errorf("%q leads to %v, %v", s, u, err)
		}
	})
}

// FuzzBaseURL holds that what links in mails begin with is one address to
// everybody, and stays what it is when it is read again.
func FuzzBaseURL(f *testing.F) {
	for _, s := range []string{
		"https://app.example.com", "https://app.example.com/app/", "http://localhost:3000", "https://a@b.test", "https://a.test?x", "https://a.test/%2e",
		"https://a.test//b", "https://[::1]:8443/x", "ftp://a.test", "https://a.test/#", "https://b\u00fccher.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseBaseURL(s)
		if err != nil {
			return
		}
		if u.Path != "" && (!strings.HasPrefix(u.Path, "/") || strings.HasSuffix(u.Path, "/")) || u.EscapedPath() != u.Path ||
			u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "" {
			t.Errorf("%q is read as %+v", s, u)
		}
		if again, err := parseBaseURL(u.String()); err != nil || again.String() != u.String() {
			t.Errorf("%q becomes %q and then %v, %v", s, u, again, err)
		}
	})
}

// FuzzOrigins holds that an origin that is accepted is as a browser sends it:
// any other would never be met, or be met by a page of somebody else's.
func FuzzOrigins(f *testing.F) {
	for _, s := range []string{
		"https://app.example.com", "https://app.example.com:443", "capacitor://localhost", "null", "*", "https://APP.example.com", "https://[::1]", "https://[0::1]",
		"https://b\u00fccher.example", "https://xn--bcher-kva.example", "https://127.1", "https://a.test/", "file://", "https://a.test.", "https://a.test:0080",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckOrigins([]string{s}) != nil || s == "*" {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme+"://"+u.Host != s || u.Host == "" || s != string(fold([]byte(s))) || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is accepted: %+v, %v", s, u, err)
		}
	})
}
