package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// Which pages a browser lets call a dialect, and what it is told.
func TestOrigins(t *testing.T) {
	const own, listed, other = "https://app.test", "https://spa.test", "https://evil.test"
	all, list := []string{"*"}, []string{listed, "https://m.test:8443"}
	cross, same := "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin"
	for _, tt := range []struct {
		name    string
		origins []string
		method  string
		origin  string
		site    string
		status  int    // 403: Fail(FaultForeign)
		allowed string // Access-Control-Allow-Origin
	}{
		{"no browser", nil, "POST", "", "", 200, ""},
		{"our page", nil, "POST", own, same, 200, ""},
		{"our page in an old browser", nil, "POST", own, "", 200, ""},
		{"another page", nil, "POST", other, cross, 403, ""},
		{"another page in an old browser", nil, "POST", other, "", 403, ""},
		{"a page without an origin", nil, "POST", "null", cross, 403, ""},
		{"another page, no origin", nil, "POST", "", cross, 403, ""},
		{"another page that reads", nil, "GET", other, cross, 403, ""},
		{"another page that reads heads", nil, "HEAD", other, cross, 403, ""},
		{"our page that reads", nil, "GET", own, same, 200, ""},
		{"a link in another page", nil, "GET", "", cross, 200, ""},
		{"preflight of another page", nil, "OPTIONS", other, cross, 200, ""},

		{"no browser, all", all, "POST", "", "", 200, "*"},
		{"another page, all", all, "POST", other, cross, 200, "*"},
		{"another page that reads, all", all, "GET", other, cross, 200, "*"},
		{"no origin, all", all, "POST", "null", cross, 200, "*"},
		{"preflight, all", all, "OPTIONS", other, cross, 200, "*"},

		{"no browser, list", list, "POST", "", "", 200, ""},
		{"listed", list, "POST", listed, cross, 200, listed},
		{"listed, with a port", list, "PUT", "https://m.test:8443", cross, 200, "https://m.test:8443"},
		{"listed, reads", list, "GET", listed, cross, 200, listed},
		{"listed, preflight", list, "OPTIONS", listed, cross, 200, listed},
		{"our page, list", list, "POST", own, same, 200, ""},
		{"our page reads, list", list, "GET", own, same, 200, ""},
		{"other, list", list, "POST", other, cross, 403, ""},
		{"other reads, list", list, "GET", other, cross, 403, ""},
		{"other, old browser, list", list, "GET", other, "", 403, ""},
		{"other, preflight, list", list, "OPTIONS", other, cross, 200, ""},
		{"another port", list, "POST", listed + ":8443", cross, 403, ""},
		{"another scheme", list, "POST", "http://spa.test", cross, 403, ""},
		{"another case", list, "POST", "https://SPA.test", cross, 403, ""},
		{"begins like one", list, "POST", listed + ".evil.test", cross, 403, ""},
		{"no origin, list", list, "POST", "null", cross, 403, ""},
		{"none listed", []string{}, "POST", other, cross, 403, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, v := speaking(&fakeSite{}, theirs, say("fine"))
			v.endpoints[0].Origins = tt.origins
			v.fail = func(c *web.Call, f web.Fault) {
				status := http.StatusTeapot
				if f == web.FaultForeign {
					status = http.StatusForbidden
				}
				c.Answer(status, vendorMedia, nil)
			}
			body := &watched{Reader: strings.NewReader("body")}
			r := httptest.NewRequest(tt.method, "https://app.test/theirs/x", body)
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			if name, value, ok := strings.Cut(tt.site, ": "); ok {
				r.Header.Set(name, value)
			}
			w := visit(t, newHandler(t, o), r)
			if got := w.Header().Values("Access-Control-Allow-Origin"); w.Code != tt.status || strings.Join(got, "|") != tt.allowed {
				t.Errorf("%d, allowed %q", w.Code, got)
			}
			if varies := w.Header().Get("Vary") == "Origin"; varies != (tt.origins != nil && tt.allowed != "*") {
				t.Errorf("Vary: %q", w.Header().Get("Vary"))
			}
			if got := w.Header().Values("Access-Control-Allow-Credentials"); got != nil {
				t.Errorf("credentials: %q", got)
			}
			if body.read {
				t.Error("the body was read")
			}
		})
	}
}

// A path that is none of the dialect's endpoints is nobody's to call.
func TestOriginsOfFaults(t *testing.T) {
	o, v := speaking(&fakeSite{}, theirs, say("fine"))
	v.endpoints[0].Origins = []string{"*"}
	h := newHandler(t, o)
	for path, want := range map[string]string{"/theirs/x": "*", "/theirs/x/": "", "/x;/theirs/x": ""} {
		r := httptest.NewRequest("DELETE", "https://app.test"+path, nil)
		r.Header.Set("Origin", "https://evil.test")
		if got := visit(t, h, r).Header().Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}
