package dialect_test

import (
	"fmt"
	"slices"
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
