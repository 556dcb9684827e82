package dialect_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

func TestCatalyzeMount(t *testing.T) {
	for _, tt := range []struct{ path, target string }{
		{"/old/v2/", "/old/v2/app/reset/user/cesare"},
		{"/v2", "/V2/app/RESET/User/cesare"},
	} {
		w := speakCatalyze(t, func(d *dialect.Catalyze) { d.Path = tt.path })
		compare(t, w.do("GET", tt.target, catalyzeHeader, ""), catalyzeOK)
		if !slices.Equal(w.logins(), []string{"cesare"}) {
			t.Errorf("path %q: logins %q", tt.path, w.logins())
		}
	}
}

func TestCatalyzeUsernames(t *testing.T) {
	for _, tt := range []struct{ segment, login string }{
		{"cesare", "cesare"},
		{"Cesare", "Cesare"},
		{"cesare%40example.com", "cesare@example.com"},
		{"cesare@example.com", "cesare@example.com"},
		{"j%C3%B6rg", "jörg"},
		{"%E7%94%A8%E6%88%B7", "用户"},
		{"a%2Fb", "a/b"},
		{"a%2fb", "a/b"},
		{"%2F", "/"},
		{"a%5Cb", `a\b`},
		{"a+b", "a+b"},
		{"a%2Bb", "a+b"},
		{"a%20b", "a b"},
		{"a%3Fb%23c", "a?b#c"},
		{"100%25", "100%"},
		{"%2541", "%41"},
		{"a;b=c", "a;b=c"},
		{"a,b", "a,b"},
		{"reset", "reset"},
		{"...", "..."},
		{strings.Repeat("a", 254), strings.Repeat("a", 254)},
	} {
		t.Run(tt.segment, func(t *testing.T) {
			w := speakCatalyze(t, nil)
			compare(t, w.do("GET", catalyzeUser+tt.segment, catalyzeHeader, ""), catalyzeOK)
			if diff := cmp.Diff([]string{tt.login}, w.logins()); diff != "" {
				t.Errorf("logins (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCatalyzeRefusesUsernames(t *testing.T) {
	w := speakCatalyze(t, nil)
	for _, segment := range []string{"%00", "a%0Ab", "a%0d%0aBcc:%20x", "%80", "%C3", "a%C2%85b", "a%E2%80%A8b", "%20", strings.Repeat("a", 255)} {
		compare(t, w.do("GET", catalyzeUser+segment, catalyzeHeader, ""), catalyzeError(400, "Invalid username."))
	}
	if len(w.requests) > 0 {
		t.Errorf("requests %v", w.requests)
	}
}

func TestCatalyzeAppID(t *testing.T) {
	w := speakCatalyze(t, func(d *dialect.Catalyze) { d.AppID = "4f1c6d2e-app" })
	compare(t, w.do("GET", catalyzeUser+"cesare", catalyzeHeader, ""), catalyzeOK)
	for _, id := range []string{"other", "4F1C6D2E-APP", "4f1c6d2e-app%20", "4f1c6d2e-app%2F"} {
		known := w.do("GET", "/v2/"+id+"/reset/user/cesare", catalyzeHeader, "")
		compare(t, known, catalyzeError(404, "Application not found."))
		same(t, known, w.do("GET", "/v2/"+id+"/reset/user/ghost", catalyzeHeader, ""))
	}
	if len(w.requests) != 1 {
		t.Errorf("requests %v", w.requests)
	}
}

// These are the vendor's, but no route of it: the app behind may not see them.
func TestCatalyzeNotFound(t *testing.T) {
	w := speakCatalyze(t, nil)
	for _, target := range []string{
		catalyzeUser, catalyzeUser + "?", strings.TrimSuffix(catalyzeUser, "/"),
		catalyzeUser + "cesare/", catalyzeUser + "cesare/x", catalyzeUser + "cesare//", catalyzeUser + "/cesare",
		catalyzeUser + ".", catalyzeUser + "..", catalyzeUser + "%2e%2E", catalyzeUser + "cesare/..", catalyzeUser + "x/../cesare",
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			got := w.do(method, target, catalyzeHeader, "")
			want := catalyzeError(404, "Not found.")
			delete(want.header, "Access-Control-Allow-Origin") // where there is no endpoint
			if method == "HEAD" {
				want.body = ""
			}
			t.Run(method+" "+target, func(t *testing.T) { compare(t, got, want) })
		}
	}
	// A page of another origin can read of a name that is missing.
	compare(t, w.do("GET", catalyzeUser, catalyzeHeader, ""), catalyzeError(404, "Not found."))
	if calls := w.asked(); calls != nil {
		t.Errorf("the domain was asked: %q", calls)
	}
}

// The rest of the vendor's API is the app's.
func TestCatalyzeForeign(t *testing.T) {
	w := speakCatalyze(t, nil)
	for _, target := range []string{"/", "/v2", "/v2/4f1c6d2e-app/user/cesare", "/v2/4f1c6d2e-app/reset", "/v3/4f1c6d2e-app/reset/user/cesare", "/reset/user/cesare", "/v2/a/b/reset/user/cesare"} {
		if got := w.do("GET", target, catalyzeHeader, ""); !got.foreign {
			t.Errorf("%s is taken from the app: %d %s", target, got.status, got.body)
		}
	}
}

func TestCatalyzeMethods(t *testing.T) {
	w := speakCatalyze(t, nil)
	for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "RESET"} {
		t.Run(method, func(t *testing.T) {
			want := catalyzeError(405, "Method not allowed.")
			want.header["Allow"] = "GET, OPTIONS"
			if method == "HEAD" {
				want.header["Content-Length"] = strconv.Itoa(len(want.body))
				want.body = ""
			}
			compare(t, w.do(method, catalyzeUser+"cesare", catalyzeHeader, ""), want)
		})
	}
	if calls := w.asked(); calls != nil {
		t.Errorf("the domain was asked: %q", calls)
	}
}

// A script of a page that is not listed cannot read an answer, and may not
// start a reset either.
func TestCatalyzeOrigins(t *testing.T) {
	for _, tt := range []struct {
		name, origin string
		header       []string
		allowed      string // origin
		status       int
	}{
		{"listed", "Origin: https://app.example.net", nil, "https://app.example.net", 200},
		{"of the site", "Origin: " + origin, nil, "", 200},
		{"not listed", "Origin: https://evil.example", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, "", 403},
		{"not listed, old browser", "Origin: https://evil.example", nil, "", 403},
		{"of nobody", "Origin: null", nil, "", 403},
		{"listed in other case", "Origin: https://APP.example.net", nil, "", 403},
		{"no browser", "Accept: */*", nil, "", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakCatalyze(t, func(d *dialect.Catalyze) { d.Origins = []string{"https://other.example", "https://app.example.net"} })
			want := expected{200, map[string]string{"Content-Type": "application/json"}, `{}`}
			if tt.status == 403 {
				want = catalyzeError(403, "Insufficient privileges to perform the requested action.")
			}
			want.header["Access-Control-Allow-Origin"] = tt.allowed
			want.header["Vary"] = "Origin"
			compare(t, w.do("GET", catalyzeUser+"cesare", append(tt.header, tt.origin), ""), want)
			if (tt.status == 200) != (len(w.requests) == 1) {
				t.Errorf("requests %v", w.requests)
			}
		})
	}
}
