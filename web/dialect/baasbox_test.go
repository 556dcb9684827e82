package dialect_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
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

func TestBaasBoxAppCode(t *testing.T) {
	const missing = "Invalid App Code. AppCode is empty or not set"
	wrong := func(code string) string {
		return "InvalidAppCodeException: Authentication info not valid or not provided: " + code + " is an Invalid App Code"
	}
	for _, tt := range []struct {
		name, configured, header, query string
		status                          int
		message                         string
	}{
		{"header", "", "1234567890", "", 200, ""},
		{"query", "", "", "?X-BAASBOX-APPCODE=1234567890", 200, ""},
		{"short query", "", "", "?appcode=1234567890", 200, ""},
		{"empty header and query", "", " ", "?X-BAASBOX-APPCODE=1234567890", 200, ""},
		{"empty header and short query", "", " ", "?appcode=1234567890", 200, ""},
		{"empty query and short query", "", "", "?X-BAASBOX-APPCODE=&appcode=1234567890", 400, missing},
		{"header goes first", "", "nope", "?X-BAASBOX-APPCODE=1234567890", 401, wrong("nope")},
		{"query in other letters", "", "", "?x-baasbox-appcode=1234567890", 400, missing},
		{"none", "", "", "", 400, missing},
		{"null", "", "null", "?appcode=1234567890", 400, missing},
		{"null in query", "", "", "?appcode=null", 400, missing},
		{"wrong", "", "nope", "", 401, wrong("nope")},
		{"longer", "", "12345678901", "", 401, wrong("12345678901")},
		{"configured", "own-code", "own-code", "", 200, ""},
		{"configured, default sent", "own-code", "1234567890", "", 401, wrong("1234567890")},
		{"configured, other case", "own-code", "OWN-code", "", 401, wrong("OWN-code")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBaasBox(t, func(b *dialect.BaasBox) { b.AppCode = tt.configured })
			var header []string
			if tt.header != "" {
				header = append(header, "X-BAASBOX-APPCODE: "+tt.header)
			}
			got := w.do("GET", baasboxPath+tt.query, header, "")
			if tt.status == 200 {
				compare(t, got, baasboxAnswer(200, baasboxOK))
				return
			}
			echo := ""
			if tt.header != "" {
				echo = `,"X-BAASBOX-APPCODE":["` + strings.TrimSpace(tt.header) + `"]`
			}
			code := ""
			if tt.status == 401 {
				code = `,"http_code":401`
			}
			compare(t, got, baasboxAnswer(tt.status, `{"result":"error","message":"`+tt.message+`","resource":"`+baasboxPath+
				`","method":"GET","request_header":{"Host":["app.example.com"]`+echo+`},"API_version":"0.9.5"`+code+`}`))
			if strings.Contains(got.body, "own-code") || w.asked() != nil {
				t.Errorf("body %s, asked %q", got.body, w.asked())
			}
		})
	}
}

// Without the option all are told the same, with it those that show the code
// are told what the original told everybody.
func TestBaasBoxReveal(t *testing.T) {
	tail := func(login string) string {
		return `,"resource":"/user/` + login + `/password/reset","method":"GET","request_header":` + baasboxEcho + `,"API_version":"0.9.5"}`
	}
	for _, tt := range []struct {
		login   string
		finding reset.Finding
		want    string
	}{
		{"ghost", reset.Nobody, `{"result":"error","message":"Username ghost not found!"` + tail("ghost")},
		{"noemail", reset.NoAddress, `{"result":"error","message":"Cannot reset password, the \"email\" attribute is not defined into the user's private profile"` + tail("noemail")},
		{"nomail", reset.MailDown, `{"result":"error","message":"PasswordRecoveryException: Cannot send mail to reset the password:  Could not reach the mail server. Please contact the server administrator"` + tail("nomail")},
		{"cesare", reset.Found, ""},
	} {
		t.Run(tt.login, func(t *testing.T) {
			findings := map[string]reset.Finding{tt.login: tt.finding}
			target := "/user/" + tt.login + "/password/reset"
			quiet := speakBaasBox(t, func(b *dialect.BaasBox) { b.AppCode = "1234567890" })
			quiet.findings = findings
			compare(t, quiet.do("GET", target, baasboxHeader, ""), baasboxAnswer(200, baasboxOK))
			if !cmp.Equal(quiet.asked(), []string{"Request"}) {
				t.Errorf("asked %q without reveal_accounts", quiet.asked())
			}

			w := speakBaasBox(t, func(b *dialect.BaasBox) { b.AppCode, b.RevealAccounts = "1234567890", true })
			w.findings = findings
			got := w.do("GET", target, baasboxHeader, "")
			if tt.want == "" {
				compare(t, got, baasboxAnswer(200, baasboxOK))
				if !cmp.Equal(w.asked(), []string{"Find", "Request"}) {
					t.Errorf("asked %q", w.asked())
				}
				return
			}
			compare(t, got, baasboxAnswer(400, tt.want))
			if !cmp.Equal(w.asked(), []string{"Find"}) {
				t.Errorf("asked %q: nothing is to be started", w.asked())
			}
			if denied := w.do("GET", target, []string{"X-BAASBOX-APPCODE: nope"}, ""); denied.status != 401 || len(w.asked()) != 1 {
				t.Errorf("without the code: %d %s", denied.status, denied.body)
			}
		})
	}
}

// Who shows a code that is not everybody's is not limited by address.
func TestBaasBoxTrust(t *testing.T) {
	for _, tt := range []struct {
		name, code string
		reveal     bool
		trusted    bool
	}{
		{"none configured", "", false, false},
		{"the default configured", "1234567890", false, false},
		{"the default, and everybody is told", "1234567890", true, true},
		{"own", "own-code", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBaasBox(t, func(b *dialect.BaasBox) { b.AppCode, b.RevealAccounts = tt.code, tt.reveal })
			code := tt.code
			if code == "" {
				code = "1234567890"
			}
			compare(t, w.do("GET", baasboxPath, []string{"X-BAASBOX-APPCODE: " + code}, ""), baasboxAnswer(200, baasboxOK))
			want := reset.Request{Login: "cesare", Dialect: "baasbox"}
			want.ClientIP = netip.MustParseAddr(clientIP)
			if tt.trusted {
				want.Trusted = true
			}
			if diff := cmp.Diff([]reset.Request{want}, w.requests, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
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

func TestBaasBoxUsername(t *testing.T) {
	for _, tt := range []struct{ segment, login string }{
		{"cesare%40example.com", "cesare@example.com"},
		{"cesare@example.com", "cesare@example.com"},
		{"Cesare", "Cesare"},
		{"a%20b", "a b"},
		{"a+b", "a+b"},
		{"a%2Bb", "a+b"},
		{"a%2Fb", "a/b"},
		{"a%252Fb", "a%2Fb"},
		{"c%C3%A9sar", "césar"},
		{"password", "password"},
		{"reset", "reset"},
	} {
		t.Run(tt.segment, func(t *testing.T) {
			w := speakBaasBox(t, nil)
			compare(t, w.do("GET", "/user/"+tt.segment+"/password/reset", baasboxHeader, ""), baasboxAnswer(200, baasboxOK))
			if !cmp.Equal(w.logins(), []string{tt.login}) {
				t.Errorf("resets of %q", w.logins())
			}
		})
	}
	for _, segment := range []string{"%00", "a%0Ab", "%FF", strings.Repeat("a", 255)} {
		w := speakBaasBox(t, func(b *dialect.BaasBox) { b.AppCode, b.RevealAccounts = "own", true })
		target := "/user/" + segment + "/password/reset"
		compare(t, w.do("GET", target, []string{"X-BAASBOX-APPCODE: own"}, ""), baasboxAnswer(400,
			`{"result":"error","message":"The 'username' field in the URL is not valid","resource":"`+target+
				`","method":"GET","request_header":{"Host":["app.example.com"],"X-BAASBOX-APPCODE":["own"]},"API_version":"0.9.5"}`))
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

func TestBaasBoxNotFound(t *testing.T) {
	const link = "/user/password/reset/{token}"
	for _, tt := range []struct{ method, target, resource string }{
		{"POST", baasboxPath, baasboxPath},
		{"PUT", baasboxPath + "?x=1", baasboxPath},
		{"HEAD", baasboxPath, baasboxPath},
		{"DELETE", baasboxPath, baasboxPath},
		{"GET", baasboxPath + "/", baasboxPath + "/"},
		{"GET", baasboxPath + "/x/y", baasboxPath + "/x/y"},
		{"GET", "/user/password/password/reset/x", "/user/password/password/reset/x"},
		{"PUT", "/user/password/reset/" + liveToken, link},
		{"DELETE", "/user/password/reset/" + liveToken + ".json", link},
		{"GET", "/user/password/reset/" + liveToken + "/", link},
		{"GET", "/user/password/reset/x/" + liveToken, link},
		{"GET", "/user/password/reset", link},
		{"GET", "/USER/PASSWORD/RESET/x/" + liveToken, link},
	} {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			w := speakBaasBox(t, nil)
			body := `{"result":"error","message":"API not found","resource":"` + tt.resource + `","method":"` + tt.method +
				`","request_header":` + baasboxEcho + `,"API_version":"0.9.5","http_code":404}`
			if tt.method == "HEAD" {
				body = ""
			}
			compare(t, w.do(tt.method, tt.target, baasboxHeader, ""), expected{404, map[string]string{
				"Content-Type": "application/json; charset=utf-8", "Access-Control-Allow-Headers": "", "Allow": "",
			}, body})
			if w.asked() != nil {
				t.Errorf("asked %q", w.asked())
			}
		})
	}
	// What is not below is the app's.
	w := speakBaasBox(t, nil)
	for _, target := range []string{"/user", "/user/cesare", "/user/cesare/password", "/login", "/user/password", "/user/cesare/password/resetting"} {
		if got := w.do("GET", target, nil, ""); !got.foreign {
			t.Errorf("%s is taken from the app: %d %s", target, got.status, got.body)
		}
	}
}

func TestBaasBoxOptions(t *testing.T) {
	const all = "OPTIONS, GET, POST, PUT, DELETE"
	for _, target := range []string{baasboxPath, baasboxPath + "/x", "/user/password/reset/" + liveToken, "/user/password/reset/" + liveToken + ".json", "/user/password/reset/x/y"} {
		for _, tt := range []struct{ name, wanted, allowed string }{
			{"with a list", "X-BB-SESSION, X-BAASBOX-APPCODE", "X-BB-SESSION, X-BAASBOX-APPCODE"},
			{"without", "", ""},
			{"no list", `x"<y>`, ""},
			{"too long", strings.Repeat("a", 5000), ""},
		} {
			t.Run(target+" "+tt.name, func(t *testing.T) {
				w := speakBaasBox(t, nil)
				header := []string{"Origin: https://other.example", "Access-Control-Request-Method: GET"}
				if tt.wanted != "" {
					header = append(header, "Access-Control-Request-Headers: "+tt.wanted)
				}
				compare(t, w.do("OPTIONS", target, header, ""), expected{200, map[string]string{
					"Allow": all, "Access-Control-Allow-Methods": all, "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": tt.allowed,
				}, ""})
				if w.asked() != nil {
					t.Errorf("asked %q", w.asked())
				}
			})
		}
	}
	for _, tt := range []struct{ origin, target, allowed string }{
		{"https://page.example", baasboxPath, "https://page.example"},
		{"https://other.example", baasboxPath, ""},
		{"https://page.example", "/user/password/reset/" + liveToken, ""},
	} {
		w := speakBaasBox(t, func(b *dialect.BaasBox) { b.Origins = []string{"https://page.example"} })
		methods := ""
		if tt.allowed != "" {
			methods = all
		}
		compare(t, w.do("OPTIONS", tt.target, []string{"Origin: " + tt.origin}, ""), expected{200, map[string]string{
			"Allow": all, "Access-Control-Allow-Origin": tt.allowed, "Access-Control-Allow-Methods": methods,
		}, ""})
	}
}

func TestBaasBoxMounted(t *testing.T) {
	w := speakBaasBox(t, func(b *dialect.BaasBox) { b.Path, b.ApplicationName, b.APIVersion = "/bb", "Shop & Co", "1.0" })
	compare(t, w.do("GET", "/bb"+baasboxPath, baasboxHeader, ""), baasboxAnswer(200, baasboxOK))
	link := "/bb/user/password/reset/" + liveToken + ".json"
	if got := w.do("GET", link, nil, ""); got.body != `{"user_name":"cesare","link":"`+link+`","token":"`+liveToken+`","application_name":"Shop & Co"}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := w.do("GET", "/bb"+baasboxPath+"/x", nil, ""); !strings.HasSuffix(got.body, `"resource":"/bb`+baasboxPath+`/x","method":"GET","request_header":{"Host":["app.example.com"]},"API_version":"1.0","http_code":404}`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := w.do("GET", baasboxPath, baasboxHeader, ""); !got.foreign {
		t.Errorf("the root is not ours: %d %s", got.status, got.body)
	}
	contract, err := new(dialect.BaasBox).Open()
	if err != nil {
		t.Fatal(err)
	}
	if got := contract.LinkPath("T1"); got != "/user/password/reset/T1" {
		t.Errorf("the link is %s", got)
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

// form encodes pairs of names and values.
func form(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(pairs[i]) + "=" + url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}

// Another reading of a path than ours must not bring a reset to the app behind,
// nor a token back.
func TestBaasBoxCrookedPaths(t *testing.T) {
	w := speakBaasBox(t, nil)
	for _, target := range []string{
		"/user/cesare/password%2Freset", "/user%2Fcesare%2Fpassword%2Freset", "//user/cesare/password/reset", "/user/cesare//password/reset",
		"/user/x/../cesare/password/reset", "/user/cesare/password/reset;x", "/user/cesare/./password/reset", "/user/cesare/password/%72eset/", "/user/cesare/password/reset%00",
		"/user/password/reset%2F" + liveToken, "/user/password/reset//" + liveToken, "/user/password/./reset/" + liveToken, "/user/password/x/../reset/" + liveToken,
		"/user;x/password/reset/" + liveToken, "/x/..;/user/password/reset/" + liveToken, "/user%2Fpassword/reset/" + liveToken, "/USER/password/reset/%2e%2e/" + liveToken,
	} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
			got := w.do(method, target, baasboxHeader, "")
			if got.foreign || got.status != 400 && got.status != 404 && method != "OPTIONS" || strings.Contains(got.body, liveToken) {
				t.Errorf("%s %s: foreign %t, %d %s", method, target, got.foreign, got.status, got.body)
				continue
			}
			checkCommon(t, got)
			var doc map[string]any
			if (method == "GET" || method == "POST") && (json.Unmarshal([]byte(got.body), &doc) != nil || doc["result"] != "error" || doc["API_version"] != "0.9.5") {
				t.Errorf("%s %s: %s", method, target, got.body)
			}
		}
	}
	if w.asked() != nil {
		t.Errorf("asked %q", w.asked())
	}
}
