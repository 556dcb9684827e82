package dialect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

const (
	baasboxPath = "/user/cesare/password/reset"
	baasboxOK   = `{"result":"ok","data":"","http_code":200}`
	baasboxApp  = "X-BAASBOX-APPCODE: 1234567890"
)

// baasboxHeader is what the clients send, beside what must not come back.
var baasboxHeader = []string{baasboxApp, "Accept: */*", "Host: localhost:9000"}

// baasboxEcho is what of baasboxHeader comes back.
const baasboxEcho = `{"Accept":["*/*"],"Host":["localhost:9000"],"X-BAASBOX-APPCODE":["1234567890"]}`

// baasboxAnswer is an answer of the start route.
func baasboxAnswer(status int, body string) expected {
	return expected{status, map[string]string{
		"Content-Type": "application/json; charset=utf-8", "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "X-Requested-With",
		"BB-USERNAME": "", "Allow": "",
	}, body}
}

// speakBaasBox serves the dialect with what set makes of its defaults.
func speakBaasBox(t testing.TB, set func(*dialect.BaasBox)) *world {
	t.Helper()
	d := dialect.New("baasbox").(*dialect.BaasBox)
	if set != nil {
		set(d)
	}
	return newWorld(t, map[string]web.Dialect{"baasbox": d})
}

func TestBaasBoxContract(t *testing.T) {
	values := map[string]string{
		"<T1>": liveToken, "<T2>": liveToken, "<expired>": deadToken, "<used>": deadToken,
		// Of a dead token nobody is told whose it was.
		"open expired link, JSON":       `{"status":"KO","user_name":"","error":"Exception: Reset password procedure is expired! Please repeat the reset password procedure","application_name":"BaasBox"}`,
		"submit, used or expired, JSON": `{"user_name":"","error":"Exception: Reset Code not found or expired! Please repeat the reset password procedure","application_name":"BaasBox"}`,
	}
	replaySeed(t, "baasbox", values, func(t *testing.T, c seedCase) *world {
		w := speakBaasBox(t, func(b *dialect.BaasBox) {
			if c.Mode == "reveal" {
				b.AppCode, b.RevealAccounts = "1234567890", true
			}
		})
		w.findings = map[string]reset.Finding{"noemail": reset.NoAddress}
		return w
	})
}

// The vendor's JavaScript SDK, from a page of the same origin and of another.
func TestBaasBoxCaptures(t *testing.T) {
	for _, file := range []string{"baasbox-js-sdk.json", "baasbox-js-sdk-cors.json"} {
		for _, c := range captures(t, file) {
			t.Run(c.Case+" "+c.Request.Method, func(t *testing.T) {
				w := speakBaasBox(t, nil)
				want := baasboxAnswer(200, baasboxOK)
				if c.Request.Method == "OPTIONS" {
					want = expected{200, map[string]string{
						"Allow": "OPTIONS, GET, POST, PUT, DELETE", "Access-Control-Allow-Methods": "OPTIONS, GET, POST, PUT, DELETE",
						"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "X-BB-SESSION, X-BAASBOX-APPCODE", "Content-Length": "0",
					}, ""}
				}
				compare(t, w.replay(c), want)
				if c.Request.Method == "GET" && !cmp.Equal(w.logins(), []string{"cesare"}) {
					t.Errorf("resets of %q", w.logins())
				}
			})
		}
	}
}

func TestBaasBoxCallID(t *testing.T) {
	for _, tt := range []struct{ name, query, want string }{
		{"none", "", baasboxOK},
		{"empty", "?call_id=", baasboxOK},
		{"number", "?call_id=7", `{"call_id":"7","result":"ok","data":"","http_code":200}`},
		{"text", "?call_id=%22%3C%26%3E/%20%C3%A9", `{"call_id":"\"<&>/ é","result":"ok","data":"","http_code":200}`},
		{"twice", "?call_id=1&call_id=2", `{"call_id":"1","result":"ok","data":"","http_code":200}`},
		{"beside damage", "?%zz&call_id=7", `{"call_id":"7","result":"ok","data":"","http_code":200}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBaasBox(t, nil)
			compare(t, w.do("GET", baasboxPath+tt.query, baasboxHeader, ""), baasboxAnswer(200, tt.want))
		})
	}
	// In an error it stands elsewhere, before http_code.
	w := speakBaasBox(t, nil)
	compare(t, w.do("GET", baasboxPath+"?call_id=7", []string{"X-BAASBOX-APPCODE: nope"}, ""), baasboxAnswer(401,
		`{"result":"error","message":"InvalidAppCodeException: Authentication info not valid or not provided: nope is an Invalid App Code",`+
			`"resource":"`+baasboxPath+`","method":"GET","request_header":{"Host":["app.example.com"],"X-BAASBOX-APPCODE":["nope"]},"API_version":"0.9.5","call_id":"7","http_code":401}`))
}

func TestBaasBoxEcho(t *testing.T) {
	w := speakBaasBox(t, nil)
	got := w.do("GET", baasboxPath+"?appcode=nope&x=1", []string{
		"accept: text/html", "Accept: application/json", "ACCEPT-LANGUAGE: de", "Accept-Encoding: gzip", "Content-Type: text/plain", "User-Agent: \"<x>\"\xff",
		"Cookie: a=hush", "Authorization: Basic hush", "X-BB-SESSION: hush", "Proxy-Authorization: hush", "X-Forwarded-For: hush", "X-Other: hush", "Referer: https://x/hush",
	}, "")
	compare(t, got, baasboxAnswer(401,
		`{"result":"error","message":"InvalidAppCodeException: Authentication info not valid or not provided: nope is an Invalid App Code",`+
			`"resource":"`+baasboxPath+`","method":"GET","request_header":{"Accept":["text/html","application/json"],"Accept-Encoding":["gzip"],"Accept-Language":["de"],`+
			`"Content-Type":["text/plain"],"Host":["app.example.com"],"User-Agent":["\"<x>\"\ufffd"]},"API_version":"0.9.5","http_code":401}`))

	// Nobody makes a large answer of a header that comes often.
	var many []string
	for range 40 {
		many = append(many, "Accept: "+strings.Repeat("a", 10<<10))
	}
	if got := w.do("GET", baasboxPath+"?call_id="+strings.Repeat("b", 20<<10), many, ""); got.status != 400 || len(got.body) > 45<<10 {
		t.Errorf("%d with %d bytes", got.status, len(got.body))
	}
}

func TestBaasBoxStartFails(t *testing.T) {
	for _, name := range []string{"cesare", "ghost"} {
		w := speakBaasBox(t, nil)
		target := "/user/" + name + "/password/reset"
		unavailable := baasboxAnswer(503, `{"result":"error","message":"The request could not be stored. Please try again later","resource":"`+target+
			`","method":"GET","request_header":`+baasboxEcho+`,"API_version":"0.9.5","http_code":503}`)
		unavailable.header["Retry-After"] = "1"
		w.errs = map[string]error{"Request": reset.ErrUnavailable}
		compare(t, w.do("GET", target, baasboxHeader, ""), unavailable)
		w.errs = map[string]error{"Request": errDisk}
		compare(t, w.do("GET", target, baasboxHeader, ""), unavailable)
		w.openErr = errDisk
		compare(t, w.do("GET", target, baasboxHeader, ""), unavailable)
		w.openErr = nil
		// Over a limit: the same answer, no mail.
		w.errs = map[string]error{"Request": &reset.LimitError{RetryAfter: time.Minute}}
		compare(t, w.do("GET", target, baasboxHeader, ""), baasboxAnswer(200, baasboxOK))
		w.panics = true
		got := w.do("GET", target, baasboxHeader, "")
		if got.status != 500 || got.body != `{"result":"error","message":"Internal server error","resource":"`+target+
			`","method":"GET","request_header":`+baasboxEcho+`,"API_version":"0.9.5","http_code":500}` {
			t.Errorf("after a panic: %d %s", got.status, got.body)
		}
	}
}

// A browser that reads ahead starts nothing, and nobody can tell.
func TestBaasBoxIdle(t *testing.T) {
	for _, header := range []string{"Sec-Purpose: prefetch;prerender", "Purpose: prefetch", "Sec-Fetch-Site: cross-site"} {
		w := speakBaasBox(t, nil)
		compare(t, w.do("GET", baasboxPath, append([]string{header}, baasboxHeader...), ""), baasboxAnswer(200, baasboxOK))
		if w.asked() != nil {
			t.Errorf("%s: asked %q", header, w.asked())
		}
	}
}

func TestBaasBoxCheck(t *testing.T) {
	for _, tt := range []struct{ option, value string }{
		{"app_code", `"null"`},
		{"app_code", `" 123"`},
		{"app_code", `"a\nb"`},
		{"application_name", `"a\nb"`},
		{"application_name", `"` + strings.Repeat("a", 201) + `"`},
		{"api_version", `"\u0000"`},
		{"email_subject", `"a\r\nBcc: x"`},
		{"email_subject", `"Reset $link$"`},
		{"email_expiration_time", fmt.Sprint(int64(59 * time.Second))},
		{"email_expiration_time", fmt.Sprint(int64(24*time.Hour + time.Second))},
		{"reveal_accounts", `true`},
	} {
		refused(t, "baasbox", tt.option, tt.value)
	}
	w := speakBaasBox(t, func(b *dialect.BaasBox) { b.EmailExpirationTime = 24 * time.Hour })
	w.do("GET", baasboxPath, baasboxHeader, "")
	if len(w.requests) != 1 || w.requests[0].LinkTTL != 24*time.Hour {
		t.Errorf("requests %+v", w.requests)
	}
}
