package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// ask sends a GET with a path as it stands on the wire.
func ask(t *testing.T, h *web.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "https://app.test/", nil)
	r.URL, r.RequestURI = u, path
	w := httptest.NewRecorder()
	handle(h).ServeHTTP(w, r)
	return w
}

func TestEndpointPath(t *testing.T) {
	o, _ := speaking(&fakeSite{}, "/v2/{app}/Reset/user/{name}", func(c *web.Call) {
		c.Answer(200, vendorMedia, fmt.Appendf(nil, "%q %q", c.Param("app"), c.Param("name")))
	})
	h := newHandler(t, o)
	const unknown, refused = "fault not-found", "fault request"
	for path, want := range map[string]string{
		"/v2/a/reset/user/alice":               `"a" "alice"`,
		"/V2/A/RESET/User/Alice":               `"A" "Alice"`,
		"/v2/a/r%65set/us%65r/al%69ce":         `"a" "alice"`,
		"/%562/a/R%45SET/user/alice":           `"a" "alice"`,
		"/v2/a/reset/user/alice%40example.com": `"a" "alice@example.com"`,
		"/v2/a/reset/user/alice@example.com":   `"a" "alice@example.com"`,
		"/v2/a/reset/user/a%20b+c":             `"a" "a b+c"`,
		"/v2/a/reset/user/ren%C3%A9":           `"a" "rené"`,
		"/v2/a/reset/user/%ff":                 `"a" "\xff"`,
		"/v2/a/reset/user/a%00b":               `"a" "a\x00b"`,
		"/v2/a/reset/user/a;b=c":               `"a" "a;b=c"`,
		"/v2/a/reset/user/...":                 `"a" "..."`,
		"/v2/a/reset/user/.a":                  `"a" ".a"`,
		"/v2/a/reset/user/a.":                  `"a" "a."`,
		`/v2/a/reset/user/a\b`:                 `"a" "a\\b"`,

		// One segment, whatever is in it.
		"/v2/a/reset/user/a%2Fb":       `"a" "a/b"`,
		"/v2/a%2fb/reset/user/c":       `"a/b" "c"`,
		"/v2/a/reset/user/%2e%2e%2fx":  `"a" "../x"`,
		"/v2/a/reset/user/a%3Fb%23c":   `"a" "a?b#c"`,
		"/v2/%2f/reset/user/%2F%5c%2F": `"/" "/\\/"`,

		// Decoded once, also where net/http keeps no raw path.
		"/v2/a/reset/user/100%25":       `"a" "100%"`,
		"/v2/a/reset/user/100%25%2F":    `"a" "100%/"`,
		"/v2/a/reset/user/a%252Fb":      `"a" "a%2Fb"`,
		"/v2/a/reset/user/a%252Fb%2F":   `"a" "a%2Fb/"`,
		"/v2/a/reset/user/%2525":        `"a" "%25"`,
		"/v2/a/reset/user/%252e%252e":   `"a" "%2e%2e"`,
		"/v2/a/r%2565set/user/alice":    refused,
		"/v2/a/reset/user/x?name=other": `"a" "x"`,
		"/v2/a/reset/user/x?":           `"a" "x"`,

		"/v2/a/reset/user":            unknown,
		"/v2/a/reset/user/":           unknown,
		"/v2/a/reset/user/alice/":     unknown,
		"/v2/a/reset/user/alice/more": unknown,
		"/v2/a/reset/user//alice":     unknown,
		"//v2/a/reset/user/alice":     unknown,
		"/v2/a/./reset/user/alice":    unknown,
		"/v2/a/reset/user/.":          unknown,
		"/v2/a/reset/user/%2e":        unknown,
		"/v2/a/reset/user/..":         refused,
		"/v2/a/reset/user/%2E%2e":     refused,
		"/v2//reset/user/alice":       refused,
		"/v2/./reset/user/alice":      refused,
		"/v2/../reset/user/alice":     refused,
		"/v2/%2e./reset/user/alice":   refused,
	} {
		w := ask(t, h, path)
		if got := w.Body.String(); got != want {
			t.Errorf("%s: %d %s, want %s", path, w.Code, got, want)
		}
		if strings.HasPrefix(want, "fault") != (w.Code == http.StatusTeapot) {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestEndpointRest(t *testing.T) {
	o, _ := speaking(&fakeSite{}, "/files/{app}/{rest...}", func(c *web.Call) {
		c.Answer(200, vendorMedia, []byte(c.Param("app")))
	})
	h := newHandler(t, o)
	for path, want := range map[string]string{
		"/files/a":          "a",
		"/files/a/":         "a",
		"/FILES/a/b/c//":    "a",
		"/files/a/../x":     "a",
		"/files/a%2fb/./..": "a/b",
		"/files/.":          "fault request",
		"/files/..":         "fault request",
		"/files//a":         "fault not-found",
		"/files":            "",
		"/files/":           "",
		"/filesa":           "",
		"/x/files/a":        "",
	} {
		if w := ask(t, h, path); w.Body.String() != want {
			t.Errorf("%s: %d %s, want %q", path, w.Code, w.Body, want)
		}
	}
}

// The first endpoint that matches answers, for methods of others as well.
func TestEndpointOrder(t *testing.T) {
	o, v := speaking(&fakeSite{}, "/v1/{x}", say("second"))
	v.endpoints = append([]web.Endpoint{
		{Path: "/v1/me", Methods: map[string]func(*web.Call){"GET": say("first")}},
		{Path: "/v1/none/{rest...}"},
	}, v.endpoints...)
	v.fail = func(c *web.Call, f web.Fault) { c.Answer(418, vendorMedia, []byte(string(f)+": "+c.Allow())) }
	h := newHandler(t, o)
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/v1/ME", "first"},
		{"GET", "/v1/you", "second"},
		{"POST", "/v1/me", "method: GET"},
		{"get", "/v1/me", "method: GET"},
		{"DELETE", "/v1/you", "method: GET, HEAD, OPTIONS, POST, PUT"},
		{"GET", "/v1/none", "not-found: "},
		{"OPTIONS", "/v1/none/x", "not-found: "},
		{"GET", "/v1/me/", "not-found: "},
	} {
		r := httptest.NewRequest("GET", "https://app.test"+tt.path, nil)
		r.Method = tt.method
		if got := visit(t, h, r).Body.String(); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
}

// In Fail a parameter is there if an endpoint matched.
func TestParamInFail(t *testing.T) {
	o, v := speaking(&fakeSite{}, "/v1/{x}", say(""))
	v.fail = func(c *web.Call, f web.Fault) { c.Answer(418, vendorMedia, fmt.Appendf(nil, "%s %q", f, c.Param("x"))) }
	h := newHandler(t, o)
	for _, tt := range []struct{ method, path, want string }{
		{"DELETE", "/v1/alice", `method "alice"`},
		{"GET", "/v1/alice/", `not-found ""`},
		{"GET", "/x;/v1/alice", `request ""`},
	} {
		r := httptest.NewRequest(tt.method, "https://app.test"+tt.path, nil)
		if got := visit(t, h, r).Body.String(); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
}
