package dialect_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

const (
	catalyzeUser = "/v2/4f1c6d2e-app/reset/user/"
	catalyzeKey  = "525ad5d6993247cccb083e5a"
)

// catalyzeHeader is that of the vendor's own example.
var catalyzeHeader = []string{
	"X-Api-Key: browser api.catalyze.io " + catalyzeKey,
	"Authorization: Bearer 0c7f26c8-5b4a-4a32-b35a-2e249448bbf2",
	"Accept: application/json",
}

// catalyzeOK is the answer to whoever asks.
var catalyzeOK = expected{200, map[string]string{
	"Content-Type": "application/json", "Content-Length": "2", "Access-Control-Allow-Origin": "*", "Retry-After": "", "Allow": "",
}, `{}`}

// catalyzeError is the answer to what is wrong.
func catalyzeError(status int, message string) expected {
	return expected{
		status,
		map[string]string{"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"},
		fmt.Sprintf(`{"errors":[{"message":"%s","code":%d}]}`, message, status),
	}
}

// speakCatalyze serves the dialect with what set makes of its defaults.
func speakCatalyze(t testing.TB, set func(*dialect.Catalyze)) *world {
	t.Helper()
	d := dialect.New("catalyze").(*dialect.Catalyze)
	if set != nil {
		set(d)
	}
	return newWorld(t, map[string]web.Dialect{"catalyze": d})
}

func TestCatalyzeContract(t *testing.T) {
	replaySeed(t, "catalyze", nil, func(t *testing.T, c seedCase) *world {
		return speakCatalyze(t, func(d *dialect.Catalyze) {
			if c.Mode == "configured" {
				d.APIKeys = []string{catalyzeKey}
			}
		})
	})
}

func TestCatalyzeCaptures(t *testing.T) {
	for _, c := range captures(t, "catalyze-seed-xhr.json") {
		t.Run(c.Case+" "+c.Request.Method, func(t *testing.T) {
			w := speakCatalyze(t, nil)
			want, logins := catalyzeOK, []string{"cesare"}
			if c.Request.Method == "OPTIONS" {
				want, logins = catalyzePreflight, nil
			}
			compare(t, w.replay(c), want)
			if diff := cmp.Diff(logins, w.logins()); diff != "" {
				t.Errorf("logins (-want +got):\n%s", diff)
			}
		})
	}
}

// What the documented samples put on the wire, and what is known of how
// clients depart from them.
func TestCatalyzeSamples(t *testing.T) {
	const key = "X-Api-Key: browser api.catalyze.io " + catalyzeKey
	for _, tt := range []struct {
		name, query string
		header      []string
	}{
		{"XMLHttpRequest", "", append([]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Origin: https://app.example.net"}, catalyzeHeader...)},
		{"AFNetworking", "?", append([]string{"Content-Type: application/json"}, catalyzeHeader...)},
		{"curl", "", append([]string{"User-Agent: curl/7.30.0"}, catalyzeHeader...)},
		{"header in lower case", "", []string{"x-api-key: android com.example.app " + catalyzeKey, "accept: application/json"}},
		{"no Authorization", "", []string{key}},
		{"Authorization of nobody", "", []string{key, "Authorization: Bearer (null)"}},
		{"Authorization of long ago", "", []string{key, "Authorization: Bearer 6bf1ae4c-1f8e-4e4a-9c0c-7b9e4f0f4a52"}},
		{"Authorization that is none", "", []string{key, "Authorization: Basic Og==", "Authorization: \t"}},
		{"no key", "", nil},
		{"a query", "?user=other&username=other", catalyzeHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakCatalyze(t, nil)
			compare(t, w.do("GET", catalyzeUser+"cesare"+tt.query, tt.header, ""), catalyzeOK)
			want := []reset.Request{{Login: "cesare", Dialect: "catalyze", ClientIP: ipOf(clientIP)}}
			if diff := cmp.Diff(want, w.requests, cmp.Comparer(sameIP)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
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

func TestCatalyzeKeys(t *testing.T) {
	const other = "0b9d4a36-9a4c-4b61-8a2e-5a3f6d5d7c11"
	for _, tt := range []struct {
		name   string
		header []string
		ok     bool
	}{
		{"right", []string{"X-Api-Key: browser api.catalyze.io " + catalyzeKey}, true},
		{"second of the list", []string{"X-Api-Key: ios com.example.app " + other}, true},
		{"lower case name", []string{"x-api-key: ios com.example.app " + other}, true},
		{"wrong", []string{"X-Api-Key: browser x y"}, false},
		{"other case", []string{"X-Api-Key: browser x " + strings.ToUpper(catalyzeKey)}, false},
		{"missing", nil, false},
		{"empty", []string{"X-Api-Key:"}, false},
		{"key alone", []string{"X-Api-Key: " + catalyzeKey}, false},
		{"two parts", []string{"X-Api-Key: browser " + catalyzeKey}, false},
		{"four parts", []string{"X-Api-Key: browser api.catalyze.io x " + catalyzeKey}, false},
		{"two spaces", []string{"X-Api-Key: browser  " + catalyzeKey}, false},
		{"no third part", []string{"X-Api-Key: browser api.catalyze.io "}, false},
		{"more behind it", []string{"X-Api-Key: browser api.catalyze.io " + catalyzeKey + " x"}, false},
		{"part of it", []string{"X-Api-Key: browser api.catalyze.io " + catalyzeKey[:23]}, false},
		{"in Authorization", []string{"Authorization: Bearer " + catalyzeKey}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakCatalyze(t, func(d *dialect.Catalyze) { d.APIKeys = []string{catalyzeKey, other} })
			want := catalyzeError(401, "Invalid API key.")
			if tt.ok {
				want = catalyzeOK
			}
			known := w.do("GET", catalyzeUser+"cesare", tt.header, "")
			compare(t, known, want)
			same(t, known, w.do("GET", catalyzeUser+"ghost", tt.header, ""))
			if tt.ok != (len(w.requests) == 2) {
				t.Fatalf("requests %v", w.requests)
			}
			if tt.ok && !w.requests[0].Trusted {
				t.Error("the app's own server shares a limit with everybody behind it")
			}
		})
	}
}

func TestCatalyzeCheck(t *testing.T) {
	refused(t, "catalyze", "api_key", `[""]`)
	refused(t, "catalyze", "api_key", `["browser app `+hush+`"]`)
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

// A GET that nobody meant gets the answer, so that it learns nothing, and has
// no effect.
func TestCatalyzeIdle(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		starts bool
	}{
		{"prefetch", []string{"Sec-Purpose: prefetch"}, false},
		{"prerender", []string{"Sec-Purpose: prefetch;prerender"}, false},
		{"old prefetch", []string{"Purpose: prefetch"}, false},
		{"older prefetch", []string{"X-Moz: prefetch"}, false},
		{"image of another site", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, false},
		{"link on another site", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, false},
		{"frame of another site", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, false},
		{"script of another site", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Origin: https://app.example.net"}, true},
		{"script of this site", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakCatalyze(t, nil)
			compare(t, w.do("GET", catalyzeUser+"cesare", append(tt.header, catalyzeHeader...), ""), catalyzeOK)
			if tt.starts != slices.Equal(w.asked(), []string{"Request"}) || !tt.starts && w.asked() != nil {
				t.Errorf("the domain was asked %q", w.asked())
			}
		})
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

// Whatever stands in the way of a mail is no business of the client's.
func TestCatalyzeSameAnswer(t *testing.T) {
	w := speakCatalyze(t, nil)
	known := w.do("GET", catalyzeUser+"cesare", catalyzeHeader, "")
	compare(t, known, catalyzeOK)
	w.findings = map[string]reset.Finding{"noemail": reset.NoAddress, "relay": reset.MailDown}
	for _, user := range []string{"ghost", "noemail", "relay", "cesare", "cesare"} {
		same(t, known, w.do("GET", catalyzeUser+user, catalyzeHeader, ""))
	}
	if w.finds != nil {
		t.Errorf("looked up before the answer: %q", w.finds)
	}
	w.errs = map[string]error{"Request": &reset.LimitError{RetryAfter: 60e9}}
	same(t, known, w.do("GET", catalyzeUser+"cesare", catalyzeHeader, ""))
}

func TestCatalyzeFailures(t *testing.T) {
	down := catalyzeError(503, "Service unavailable.")
	down.header["Retry-After"] = "1"
	for _, tt := range []struct {
		name string
		set  func(*world)
		want expected
	}{
		{"store down", func(w *world) { w.errs = map[string]error{"Request": reset.ErrUnavailable} }, down},
		{"unknown fault", func(w *world) { w.errs = map[string]error{"Request": errDisk} }, down},
		{"site does not open", func(w *world) { w.openErr = errDisk }, down},
		{"panic", func(w *world) { w.panics = true }, catalyzeError(500, "Internal server error.")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakCatalyze(t, nil)
			tt.set(w)
			known := w.do("GET", catalyzeUser+"cesare", catalyzeHeader, "")
			compare(t, known, tt.want)
			same(t, known, w.do("GET", catalyzeUser+"ghost", catalyzeHeader, ""))
		})
	}
}
