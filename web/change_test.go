package web_test

import (
	"bytes"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

func newPassword(t *testing.T, h *web.Handler, token, password, repeat string) *httptest.ResponseRecorder {
	t.Helper()
	return post(t, h, "/password-reset/new", form, url.Values{
		"token": {token}, "password": {password}, "password_repeat": {repeat}, "username": {"mallory"},
	}.Encode())
}

func TestLinkPage(t *testing.T) {
	site := &fakeSite{}
	h := newHandler(t, options(site))
	for range 5 {
		w := get(t, h, "/password-reset/link/"+liveToken)
		page := w.Body.String()
		for _, want := range []string{
			`name="token" value="` + liveToken + `"`, "a•••e", `value="alice" autocomplete="username" readonly`,
			`data-address="/password-reset/link"`, `passwordrules="minlength: 15; maxlength: 128; allowed: unicode;"`,
			`minlength="15"`, `maxlength="256"`, `action="/password-reset/new"`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("no %q on the page", want)
			}
		}
		checkHeaders(t, w)
	}
	if w := get(t, h, "/password-reset/link/"+claimedToken); w.Code != 200 || strings.Contains(w.Body.String(), "<form") {
		t.Errorf("a link that was used a moment ago: %d", w.Code)
	}
}

// Whatever is wrong with a token, the answer is the same to the byte.
func TestDeadTokens(t *testing.T) {
	h := newHandler(t, options(&fakeSite{}))
	var first []byte
	for name, w := range map[string]*httptest.ResponseRecorder{
		"unknown":      get(t, h, "/password-reset/link/unknown"),
		"none":         get(t, h, "/password-reset/link"),
		"two segments": get(t, h, "/password-reset/link/a/b"),
		"malformed":    get(t, h, "/password-reset/link/%3Cscript%3E"),
		"long":         get(t, h, "/password-reset/link/"+strings.Repeat("a", 5000)),
		"cancel":       get(t, h, "/password-reset/cancel/unknown"),
		"cancel, POST": post(t, h, "/password-reset/cancel/unknown", form, ""),
		"link token":   get(t, h, "/password-reset/cancel/"+liveToken),
		"set":          newPassword(t, h, "unknown", goodPassword, goodPassword),
		"empty":        newPassword(t, h, "", goodPassword, goodPassword),
		"mismatch":     newPassword(t, h, "unknown", goodPassword, "x"),
		"short":        newPassword(t, h, "unknown", "x", "x"),
		"no text":      newPassword(t, h, "unknown", "\xff", "\xff"),
	} {
		if w.Code != 410 {
			t.Errorf("%s: %d", name, w.Code)
		}
		if first == nil {
			first = w.Body.Bytes()
		}
		if !bytes.Equal(first, w.Body.Bytes()) {
			t.Errorf("%s: another page:\n%s", name, w.Body)
		}
	}
	w := post(t, h, "/password-reset/new", json, `{"token":"unknown","password":"x"}`)
	if w.Code != 410 || !strings.Contains(w.Body.String(), "problem:link") {
		t.Errorf("JSON: %d %s", w.Code, w.Body)
	}
}

func TestChange(t *testing.T) {
	for _, tt := range []struct {
		name     string
		result   reset.Result
		form     int
		location string
		json     int
		want     string // in the JSON
	}{
		{"changed", reset.Result{Status: reset.StatusChanged}, 303, "/password-reset/done", 200, `{"status":"changed"}`},
		{"pending", reset.Result{Status: reset.StatusPending}, 303, "/password-reset/pending", 202, `{"status":"pending"}`},
		{"refused", reset.Result{Status: reset.StatusRefused, Detail: "need a <digit>"}, 422, "", 422, `"detail":"need a \u003cdigit\u003e"`},
		{"refused without words", reset.Result{Status: reset.StatusRefused}, 422, "", 422, "problem:refused"},
		{"gone", reset.Result{Status: reset.StatusGone}, 410, "", 410, "problem:account-gone"},
		{"superseded", reset.Result{Status: reset.StatusSuperseded}, 409, "", 409, "problem:superseded"},
		{"unknown", reset.Result{Status: "?"}, 503, "", 503, "problem:unavailable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := &fakeSite{result: tt.result}
			h := newHandler(t, options(site))
			w := newPassword(t, h, liveToken, goodPassword, goodPassword)
			if w.Code != tt.form || w.Header().Get("Location") != tt.location {
				t.Errorf("form: %d %s", w.Code, w.Header().Get("Location"))
			}
			if dropped := strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0"); dropped != (tt.form == 303) {
				t.Errorf("cookie dropped: %v", dropped)
			}
			if strings.Contains(w.Body.String(), "need a <digit>") {
				t.Error("the app's words are not escaped")
			}
			checkHeaders(t, w)
			w = post(t, h, "/password-reset/new", json, `{"token":"`+liveToken+`","password":"`+goodPassword+`"}`)
			if w.Code != tt.json || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("JSON: %d %s", w.Code, w.Body)
			}
			if want := (reset.NewPassword{Token: liveToken, Password: goodPassword, ClientIP: visitorIP}); site.change != want {
				t.Errorf("the domain got %+v", site.change)
			}
		})
	}
}

func TestChangeByCode(t *testing.T) {
	site := &fakeSite{}
	h := newHandler(t, options(site))
	w := post(t, h, "/password-reset/new", json, `{"login":"alice","code":"`+liveCode+`","password":"`+goodPassword+`"}`)
	if w.Code != 200 || site.change.Token != codeToken {
		t.Errorf("%d %s, token %q", w.Code, w.Body, site.change.Token)
	}
	w = post(t, h, "/password-reset/new", json, `{"login":"alice","code":"1","password":"x"}`)
	if w.Code != 422 || !strings.Contains(w.Body.String(), "problem:code") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A person can try again with the same page, and sees why; no password comes
// back.
func TestTryAgain(t *testing.T) {
	for _, tt := range []struct {
		name             string
		password, repeat string
		result           reset.Result
		reasons          []passwords.Reason
		want             []string
	}{
		{"mismatch", goodPassword, goodPassword + "!", reset.Result{}, nil, []string{"not the same"}},
		{"short", "tiny secret", "tiny secret", reset.Result{}, nil, []string{"at least 15 characters"}},
		{"all reasons", goodPassword, goodPassword, reset.Result{}, []passwords.Reason{
			{Code: passwords.TooLong, Limit: 77},
			{Code: passwords.TooLong, Limit: 72, Bytes: true},
			{Code: passwords.NotText},
			{Code: passwords.Common},
			{Code: passwords.Expected},
			{Code: "unheard"},
		}, []string{"at most 77 characters", "72 bytes", "cannot be typed", "Many people", "close to your name", "not accepted"}},
		{"no reason", goodPassword, goodPassword, reset.Result{}, []passwords.Reason{}, []string{"not accepted"}},
		{"app", goodPassword, goodPassword, reset.Result{Status: reset.StatusRefused, Detail: "needs\x00 a\n\u202edigit" + strings.Repeat("x", 600)}, nil, []string{"Example does not accept this password: needs a digit" + strings.Repeat("x", 487) + "<"}},
		{"app in silence", goodPassword, goodPassword, reset.Result{Status: reset.StatusRefused, Detail: " \n"}, nil, []string{"not accepted"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := &fakeSite{result: tt.result}
			if tt.reasons != nil {
				site.resultOf = map[string]error{"Change": &reset.PasswordError{Reasons: tt.reasons}}
			}
			w := newPassword(t, newHandler(t, options(site)), liveToken, tt.password, tt.repeat)
			page := w.Body.String()
			if w.Code != 422 {
				t.Errorf("status %d", w.Code)
			}
			for _, want := range append(tt.want, `name="token" value="`+liveToken+`"`, `role="alert"`, `aria-invalid="true"`) {
				if !strings.Contains(page, want) {
					t.Errorf("no %q on the page", want)
				}
			}
			if strings.Contains(page, tt.password) || strings.Contains(page, tt.repeat) || strings.Contains(page, "mallory") {
				t.Error("what was typed comes back")
			}
			checkHeaders(t, w)
		})
	}
}

func TestReasonsForPrograms(t *testing.T) {
	w := post(t, newHandler(t, options(&fakeSite{})), "/password-reset/new", json, `{"token":"`+liveToken+`","password":"x"}`)
	const want = `"reasons":[{"code":"too_short","limit":15}]`
	if w.Code != 422 || !strings.Contains(w.Body.String(), want) || w.Header().Get("Content-Type") != "application/problem+json; charset=utf-8" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
