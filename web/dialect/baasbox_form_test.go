package dialect_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

const (
	baasboxLink    = "/user/password/reset/"
	baasboxLive    = baasboxLink + liveToken
	baasboxForm    = "Content-Type: application/x-www-form-urlencoded"
	baasboxExpired = "Exception: Reset password procedure is expired! Please repeat the reset password procedure"
	baasboxDead    = "Exception: Reset Code not found or expired! Please repeat the reset password procedure"
	goodPassword   = "correct horse"

	// How a document about the live token begins, and of one with an error.
	baasboxShown = `{"user_name":"cesare","link":"` + baasboxLive + `.json","token":"` + liveToken + `","application_name":"BaasBox"`
)

// baasboxPlain are the headers of an answer to whoever follows a link.
var baasboxPlain = map[string]string{
	"Content-Type": "application/json; charset=utf-8", "Access-Control-Allow-Origin": "", "Access-Control-Allow-Headers": "", "Retry-After": "",
}

func goodForm() string { return form("password", goodPassword, "repeat-password", goodPassword) }

func baasboxKO(problem string) string {
	return `{"status":"KO","user_name":"","error":"` + problem + `","application_name":"BaasBox"}`
}

func baasboxFailed(login, problem string) string {
	return `{"user_name":"` + login + `","error":"` + problem + `","application_name":"BaasBox"}`
}

// deadLinks are tokens of every kind that open nothing.
var deadLinks = []string{
	deadToken, "x", "garbage.with.dots", "%2e", ".json", liveToken[1:], liveToken + "A", liveToken + ".JSON", strings.Repeat("A", 3000),
	"%6C" + liveToken[1:], strings.ToUpper(liveToken), "MTIzNDU2Nzg5MCUlJSVjZXNhcmUlJSUlMQ==", "%00", "%ff",
}

func TestBaasBoxOpenJSON(t *testing.T) {
	w := speakBaasBox(t, nil)
	shown := expected{200, baasboxPlain, baasboxShown + "}"}
	compare(t, w.do("GET", baasboxLive+".json", nil, ""), shown)
	compare(t, w.do("GET", baasboxLive+".json", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, ""), shown)
	head := w.do("HEAD", baasboxLive+".json", nil, "")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != w.do("GET", baasboxLive+".json", nil, "").header.Get("Content-Length") {
		t.Errorf("HEAD: %d %q", head.status, head.body)
	}
	for _, call := range w.asked() {
		if call != "Look" {
			t.Errorf("opening a link made the call %s", call)
		}
	}
	for _, token := range deadLinks {
		if token == ".json" {
			continue // the empty token in JSON
		}
		compare(t, w.do("GET", baasboxLink+token+".json", nil, ""), expected{400, baasboxPlain, baasboxKO(baasboxExpired)})
	}
	compare(t, w.do("GET", baasboxLink+".json", nil, ""), expected{400, baasboxPlain, baasboxKO(baasboxExpired)})
	// The new password is on its way: no second one.
	compare(t, w.do("GET", baasboxLink+claimedToken+".json", nil, ""), expected{
		202, baasboxPlain,
		`{"user_name":"cesare","message":"The password was saved and will take effect shortly","application_name":"BaasBox"}`,
	})
}

func TestBaasBoxOpenFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		code  int
		retry string
		text  string
	}{
		{"too often", &reset.LimitError{RetryAfter: 90500 * time.Millisecond}, 429, "91", "Exception: Too many requests. Please try again later"},
		{"unavailable", reset.ErrUnavailable, 503, "1", "Exception: The service is not available. Please try again later"},
		{"unknown", errDisk, 503, "1", "Exception: The service is not available. Please try again later"},
	} {
		for _, token := range []string{liveToken, deadToken} {
			t.Run(tt.name, func(t *testing.T) {
				w := speakBaasBox(t, nil)
				w.errs = map[string]error{"": tt.err}
				want := map[string]string{"Content-Type": "application/json; charset=utf-8", "Retry-After": tt.retry}
				compare(t, w.do("GET", baasboxLink+token+".json", nil, ""), expected{tt.code, want, baasboxKO(tt.text)})
				compare(t, w.do("POST", baasboxLink+token+".json", []string{baasboxForm}, goodForm()), expected{tt.code, want, baasboxFailed("", tt.text)})
				if token == deadToken {
					return
				}
				w.errs = map[string]error{"Change": tt.err}
				compare(t, w.do("POST", baasboxLive+".json", []string{baasboxForm}, goodForm()), expected{tt.code, want, baasboxFailed("cesare", tt.text)})
			})
		}
	}
}

func TestBaasBoxSubmitJSON(t *testing.T) {
	const differ = `The new \"password\" field and the \"repeat password\" field must be the same.`
	for _, tt := range []struct {
		name, token, media, body string
		result                   reset.Result
		status                   int
		want                     string
	}{
		{"success", liveToken, "", goodForm(), reset.Result{}, 200, `{"user_name":"cesare","message":"Password changed","application_name":"BaasBox"}`},
		{"with a charset", liveToken, "application/x-www-form-urlencoded; charset=UTF-8", goodForm(), reset.Result{}, 200, `{"user_name":"cesare","message":"Password changed","application_name":"BaasBox"}`},
		{"unknown fields", liveToken, "", goodForm() + "&x=1&x=2", reset.Result{}, 200, `{"user_name":"cesare","message":"Password changed","application_name":"BaasBox"}`},
		{"pending", liveToken, "", goodForm(), reset.Result{Status: reset.StatusPending}, 202, `{"user_name":"cesare","message":"The password was saved and will take effect shortly","application_name":"BaasBox"}`},
		{"refused by the app", liveToken, "", goodForm(), reset.Result{Status: reset.StatusRefused, Detail: "Too <easy>"}, 400, baasboxShown + `,"error":"Example does not accept this password: Too <easy>"}`},
		{"account gone", liveToken, "", goodForm(), reset.Result{Status: reset.StatusGone}, 400, baasboxFailed("cesare", "Exception: User not found!")},
		{"superseded", liveToken, "", goodForm(), reset.Result{Status: reset.StatusSuperseded}, 400, baasboxFailed("", baasboxDead)},
		{"of no known outcome", liveToken, "", goodForm(), reset.Result{Status: "other"}, 503, baasboxFailed("cesare", "Exception: The service is not available. Please try again later")},
		{"too short", liveToken, "", form("password", "abc", "repeat-password", "abc"), reset.Result{}, 400, baasboxShown + `,"error":"Too short: use at least 8 characters."}`},
		{"differ", liveToken, "", form("password", "abc", "repeat-password", "abd"), reset.Result{}, 400, baasboxShown + `,"error":"` + differ + `"}`},
		{"password twice", liveToken, "", form("password", "a", "password", "b", "repeat-password", "a"), reset.Result{}, 400, baasboxShown + `,"error":"The 'new password' field is missing"}`},
		{"password twice, differs", liveToken, "", form("password", "a", "password", "b", "repeat-password", "b"), reset.Result{}, 400, baasboxShown + `,"error":"` + differ + `"}`},
		{"repetition twice", liveToken, "", form("password", "a", "repeat-password", "a", "repeat-password", "b"), reset.Result{}, 400, baasboxShown + `,"error":"The 'repeat password' field is missing"}`},
		{"password absent", liveToken, "", form("repeat-password", "a"), reset.Result{}, 400, baasboxShown + `,"error":"The 'new password' field is missing"}`},
		{"repetition absent", liveToken, "", form("password", "a"), reset.Result{}, 400, baasboxShown + `,"error":"The 'repeat password' field is missing"}`},
		{"both absent", liveToken, "", "", reset.Result{}, 400, baasboxShown + `,"error":"The 'repeat password' field is missing"}`},
		{"in the query", liveToken, "", "", reset.Result{}, 400, baasboxShown + `,"error":"The 'repeat password' field is missing"}`},
		{"JSON", liveToken, "application/json", `{"password":"a","repeat-password":"a"}`, reset.Result{}, 400, baasboxFailed("cesare", "Exception: Error getting submitted data. Please repeat the reset password procedure")},
		{"other charset", liveToken, "application/x-www-form-urlencoded; charset=utf-16", goodForm(), reset.Result{}, 400, baasboxFailed("cesare", "Exception: Error getting submitted data. Please repeat the reset password procedure")},
		{"two types", liveToken, "application/x-www-form-urlencoded\r\nContent-Type: application/x-www-form-urlencoded", goodForm(), reset.Result{}, 400, baasboxFailed("cesare", "Exception: Error getting submitted data. Please repeat the reset password procedure")},
		{"unknown parameter", liveToken, "application/x-www-form-urlencoded; boundary=x", goodForm(), reset.Result{}, 400, baasboxFailed("cesare", "Exception: Error getting submitted data. Please repeat the reset password procedure")},
		{"damaged", liveToken, "", "password=%zz", reset.Result{}, 400, baasboxFailed("cesare", "Exception: Error getting submitted data. Please repeat the reset password procedure")},
		{"many fields", liveToken, "", goodForm() + strings.Repeat("&x", 64), reset.Result{}, 400, baasboxFailed("cesare", "Exception: Error getting submitted data. Please repeat the reset password procedure")},
		{"too large", liveToken, "", "password=" + strings.Repeat("a", 70<<10), reset.Result{}, 413, baasboxFailed("cesare", "Exception: Error getting submitted data. Please repeat the reset password procedure")},
		{"dead", deadToken, "", goodForm(), reset.Result{}, 400, baasboxFailed("", baasboxDead)},
		{"dead, fields differ", deadToken, "", form("password", "a"), reset.Result{}, 400, baasboxFailed("", baasboxDead)},
		{"dead, no form", deadToken, "application/json", "{}", reset.Result{}, 400, baasboxFailed("", baasboxDead)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBaasBox(t, nil)
			w.result = tt.result
			header := []string{baasboxForm}
			if tt.media != "" {
				header = []string{"Content-Type: " + tt.media}
			}
			target := baasboxLink + tt.token + ".json"
			if tt.name == "in the query" {
				target += "?" + goodForm()
			}
			got := w.do("POST", target, header, tt.body)
			plain := baasboxPlain
			if tt.status == 503 {
				plain = map[string]string{"Retry-After": "1"}
			}
			compare(t, got, expected{tt.status, plain, tt.want})
			if asked := w.asked(); asked[0] != "Look" {
				t.Errorf("asked %q: the token is judged first", asked)
			}
			if tt.status == 200 && !cmp.Equal(w.changes[0].Password, goodPassword) {
				t.Errorf("changes %+v", w.changes)
			}
		})
	}
	for _, token := range deadLinks {
		w := speakBaasBox(t, nil)
		if token != ".json" {
			token += ".json"
		}
		compare(t, w.do("POST", baasboxLink+token, []string{baasboxForm}, goodForm()), expected{400, baasboxPlain, baasboxFailed("", baasboxDead)})
		if len(w.changes) > 0 {
			t.Errorf("%s: a change was tried", token)
		}
	}
}

// However often a link is opened, a form that is open already goes on working;
// so does the link after passwords that were not taken.
func TestBaasBoxOpenTwice(t *testing.T) {
	w := speakBaasBox(t, nil)
	first := w.do("GET", baasboxLive+".json", nil, "")
	same(t, first, w.do("GET", baasboxLive+".json", nil, ""))
	for _, body := range []string{form("password", "a", "repeat-password", "b"), form("password", "a", "repeat-password", "a")} {
		if got := w.do("POST", baasboxLive+".json", []string{baasboxForm}, body); got.status != 400 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if got := w.do("POST", baasboxLive+".json", []string{baasboxForm}, goodForm()); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// No page of another site makes a browser send a new password.
func TestBaasBoxForeignForm(t *testing.T) {
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"} {
		for _, target := range []string{baasboxLive, baasboxLive + ".json"} {
			w := speakBaasBox(t, nil)
			got := w.do("POST", target, []string{baasboxForm, header}, goodForm())
			compare(t, got, expected{403, baasboxPlain, `{"result":"error","message":"Requests from pages of other sites are not accepted",` +
				`"resource":"/user/password/reset/{token}","method":"POST","request_header":{"Content-Type":["application/x-www-form-urlencoded"],"Host":["app.example.com"]},` +
				`"API_version":"0.9.5","http_code":403}`})
			if w.asked() != nil {
				t.Errorf("asked %q", w.asked())
			}
		}
	}
	w := speakBaasBox(t, nil)
	if got := w.do("POST", baasboxLive+".json", []string{baasboxForm, "Origin: " + origin, "Sec-Fetch-Site: same-origin"}, goodForm()); got.status != 200 {
		t.Errorf("our own form: %d %s", got.status, got.body)
	}
}

// Without pages of the operator's a browser gets ours.
func TestBaasBoxNativePages(t *testing.T) {
	accepts := []string{"Accept: text/html", "Accept: application/json"}
	for _, accept := range accepts {
		t.Run(accept, func(t *testing.T) {
			w := speakBaasBox(t, nil)
			for _, tt := range []struct {
				name, token, body string
				status            int
				location, text    string
			}{
				{"open", liveToken, "", 200, "", `value="` + liveToken + `"`},
				{"open a dead link", deadToken, "", 410, "", "<html"},
				{"open in another spelling", "%6C" + liveToken[1:], "", 410, "", "<html"},
				{"open a claimed one", claimedToken, "", 200, "", "<html"},
				{"dead link", deadToken, goodForm(), 410, "", "<html"},
				{"differ", liveToken, form("password", goodPassword, "repeat-password", "another"), 422, "", `value="` + liveToken + `"`},
				{"too short", liveToken, form("password", "a", "repeat-password", "a"), 422, "", `value="` + liveToken + `"`},
				{"password twice", liveToken, form("password", goodPassword, "password", goodPassword, "repeat-password", goodPassword), 422, "", `value="` + liveToken + `"`},
				{"repetition absent", liveToken, form("password", goodPassword), 422, "", `value="` + liveToken + `"`},
				{"nothing", liveToken, "x", 422, "", `value="` + liveToken + `"`},
				{"taken", liveToken, goodForm(), 303, "/password-reset/done", ""},
			} {
				w.changes = nil
				var got answer
				if tt.body == "" {
					got = w.do("GET", baasboxLink+tt.token, []string{accept}, "")
				} else {
					got = w.do("POST", baasboxLink+tt.token, []string{accept, baasboxForm}, tt.body)
				}
				if got.status != tt.status || got.header.Get("Location") != tt.location || !strings.Contains(got.body, tt.text) {
					t.Errorf("%s: %d to %q:\n%s", tt.name, got.status, got.header.Get("Location"), got.body)
				}
				if tt.status == 422 && tt.name != "too short" && len(w.changes) > 0 && w.changes[0].Password != "" {
					t.Errorf("%s: a change was tried", tt.name)
				}
			}
		})
	}
	w := speakBaasBox(t, nil)
	if got := w.do("POST", baasboxLive, []string{"Content-Type: application/json"}, `{"password":"`+goodPassword+`","repeat-password":"`+goodPassword+`"}`); got.status != 400 {
		t.Errorf("JSON without .json: %d", got.status)
	}
	for _, err := range []error{reset.ErrUnavailable, &reset.LimitError{RetryAfter: time.Second}} {
		w.errs = map[string]error{"": err}
		if got := w.do("GET", baasboxLive, nil, ""); got.status != 503 && got.status != 429 || got.header.Get("Retry-After") == "" {
			t.Errorf("%v: %d", err, got.status)
		}
	}
}

// What a person types and what a link holds is in no log.
func TestBaasBoxLogs(t *testing.T) {
	w := speakBaasBox(t, func(b *dialect.BaasBox) { b.AppCode = "hush-code" })
	w.do("GET", "/user/hush-login/password/reset?call_id=hush-id", []string{"X-BAASBOX-APPCODE: hush-wrong"}, "")
	w.do("GET", "/user/hush-login/password/reset", []string{"X-BAASBOX-APPCODE: hush-code"}, "")
	w.do("GET", baasboxLive+".json", nil, "")
	w.do("POST", baasboxLive+".json", []string{baasboxForm}, form("password", "hush-password", "repeat-password", "hush-password"))
	w.panics = true
	w.do("POST", baasboxLive+".json", []string{baasboxForm}, form("password", "hush-password", "repeat-password", "hush-password"))
	w.server.Close()
	log := w.log.String()
	if strings.Contains(log, "hush") || strings.Contains(log, liveToken) || strings.Contains(log, "cesare") {
		t.Errorf("the log holds a secret:\n%s", log)
	}
	for _, want := range []string{"dialect=baasbox", "reference=R-2345-6789", "app_code=wrong"} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is missing in\n%s", want, log)
		}
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
