package dialect_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// hush is in everything that may not come back.
const hush = "hush-4f9b2d"

// Nothing that a client sends as a credential, nor whom it asks for where the
// vendor does not say it, comes back or is logged, whatever goes wrong.
func TestNothingSecretComesBack(t *testing.T) {
	header := []string{
		"X-Api-Key: browser " + hush + " " + hush,
		"requestToken: " + hush,
		"Authorization: Bearer " + hush,
		"Proxy-Authorization: Basic " + hush,
		"Cookie: session=" + hush,
		"X-BB-SESSION: " + hush,
		"Referer: https://app.example.com/" + hush,
		baasboxApp,
	}
	const (
		json = "Content-Type: application/json"
		form = "Content-Type: application/x-www-form-urlencoded"
	)
	for _, tt := range []struct{ dialect, method, target, header, body string }{
		{"catalyze", "GET", "/v2/" + hush + "/reset/user/" + hush, "User-Agent: " + hush, ""},
		{"catalyze", "GET", "/v2/" + hush + "/reset/user/" + hush + "%00", json, ""},
		{"catalyze", "GET", "/v2/" + hush + "/reset/user/" + hush + "/x?" + hush, json, ""},
		{"catalyze", "GET", "/v2/" + hush + "/reset/user%2F" + hush, json, ""},
		{"catalyze", "POST", "/v2/" + hush + "/reset/user/" + hush, json, hush},
		{"catalyze", "OPTIONS", "/v2/" + hush + "/reset/user/" + hush, json, ""},
		{"payabli", "POST", payabliPath, "User-Agent: " + hush, `{"email":"` + hush + `@example.com"}`},
		{"payabli", "POST", payabliPath, json, `{"email":"` + hush + `"}`},
		{"payabli", "POST", payabliPath, json, `{"` + hush + `":"` + hush},
		{"payabli", "POST", payabliPath, json, `{"entry":"` + hush + `","entryType":"` + hush + `"}`},
		{"payabli", "GET", payabliPath + "?" + hush, json, ""},
		{"payabli", "OPTIONS", payabliPath, json, ""},
		{"buddy", "POST", "/devices", json, `{"appId":"` + hush + `","appKey":"` + hush + `","uniqueId":"` + hush + `"}`},
		{"buddy", "POST", "/devices", form, "appId=" + hush + "&appId=" + hush},
		{"buddy", "POST", buddyPath + "?" + hush, json, `{"userName":"` + hush + `","subject":"` + hush + `","body":"` + hush + `"}`},
		{"buddy", "PUT", buddyPath, json, `{"userName":"cesare","subject":"s","body":{"` + hush + `":"` + hush + `"}}`},
		{"buddy", "POST", buddyPath, "User-Agent: " + hush, hush},
		{"buddy", "PATCH", buddyPath, json, `{"userName":"` + hush + `","resetCode":"` + hush + `","newPassword":"` + hush + `"}`},
		{"buddy", "PATCH", buddyPath, json, `{"userName":"cesare","resetCode":"` + liveCode + `","newPassword":"` + hush + `"}`},
		{"buddy", "PATCH", buddyPath, json, `{"` + hush + `":"` + hush},
		{"buddy", "GET", buddyPath, json, ""},
		{"buddy", "OPTIONS", buddyPath, json, ""},
		{"baasbox", "GET", baasboxPath + "?" + hush, json, ""},
		{"baasbox", "POST", baasboxPath, json, hush},
		{"baasbox", "OPTIONS", baasboxPath, json, ""},
		{"baasbox", "GET", baasboxLink + hush, json, ""},
		{"baasbox", "GET", baasboxLink + hush + ".json", json, ""},
		{"baasbox", "PUT", baasboxLink + hush, json, ""},
		{"baasbox", "GET", baasboxLink + hush + "/" + hush, json, ""},
		{"baasbox", "GET", baasboxLink + liveToken + "%00", json, ""},
		{"baasbox", "POST", baasboxLink + hush, form, "password=" + hush + "&repeat-password=" + hush},
		{"baasbox", "POST", baasboxLink + hush + ".json", form, "password=" + hush + "&repeat-password=" + hush},
		{"baasbox", "POST", baasboxLink + liveToken + ".json", form, "password=" + hush + "&repeat-password=" + hush},
		{"baasbox", "POST", baasboxLink + liveToken + ".json", json, `{"password":"` + hush + `"}`},
	} {
		for _, options := range []map[string]any{
			nil,
			{"api_key": []string{hush}, "request_token": []string{hush}, "app_id": hush, "app_key": hush, "app_code": hush},
			{"api_key": []string{"another"}, "request_token": []string{"another"}, "app_id": "another", "app_key": "another", "app_code": "another"},
			{"app_id": hush, "shared_secret": hush},
		} {
			d := dialect.New(tt.dialect)
			for option, value := range options {
				if hasOption(d, option) {
					setOption(t, d, option, value)
				}
			}
			w := newWorld(t, map[string]web.Dialect{tt.dialect: d})
			for _, fault := range []error{nil, reset.ErrLogin, reset.ErrUnavailable, errDisk} {
				for _, panics := range []bool{false, true} {
					w.errs, w.panics = map[string]error{"": fault}, panics
					got := w.do(tt.method, tt.target, append([]string{tt.header}, header...), tt.body)
					if all := fmt.Sprint(got); got.foreign || strings.Contains(all, hush) || strings.Contains(all, liveToken) || strings.Contains(all, "disk") {
						t.Errorf("%s %s comes back: %s", tt.method, tt.target, all)
					}
				}
			}
			w.server.Close() // the line in the log follows the answer
			if log := w.log.String(); strings.Contains(log, hush) || strings.Contains(log, liveToken) || strings.Count(log, "dialect="+tt.dialect) != 8 {
				t.Errorf("%s %s is logged: %s", tt.method, tt.target, log)
			}
		}
	}
}

// Another reading of a path than ours must not bring a reset of the original's
// kind to the app behind.
func TestCrookedPaths(t *testing.T) {
	w := newWorld(t, map[string]web.Dialect{"catalyze": dialect.New("catalyze"), "payabli": dialect.New("payabli")})
	for _, target := range []string{
		"/v2/app/reset/user%2Fcesare", "/v2/app/reset%2Fuser/cesare", "/v2%2Fapp%2Freset%2Fuser%2Fcesare",
		"/v2/app/reset/%2e/user/cesare", "/v2/app/x/../reset/user/cesare", "/v2/app/reset/user/../user/cesare",
		"//v2/app/reset/user/cesare", "/v2/app//reset/user/cesare", "/v2/app/reset/user;x=1/cesare", "/v2/app/reset/%75ser/cesare/",
		"/x/..;/v2/app/reset/user/cesare", "/v2/app/reset/u%73er%00/cesare", `/v2/app/reset%5Cuser%5Ccesare`,
		"/api/User%2Fauthreset", "/api/./User/authreset", "/api/x/../User/authreset", "/api/User/authreset%00", "/api/User/authreset;x",
		"/api/User/authreset%3Fx", "/API//USER//AUTHRESET", "/api/User/authreset%20", `/api%5CUser%5Cauthreset`, "/api/User/auth%72eset/",
	} {
		for _, method := range []string{"GET", "POST", "HEAD"} {
			got := w.do(method, target, nil, "")
			if got.foreign || got.status != 400 && got.status != 404 || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: foreign %t, %d %s", method, target, got.foreign, got.status, got.body)
				continue
			}
			checkCommon(t, got)
			if method != "HEAD" && !json.Valid([]byte(got.body)) {
				t.Errorf("%s %s: body %q", method, target, got.body)
			}
		}
	}
	if calls := w.asked(); calls != nil {
		t.Errorf("the domain was asked: %q", calls)
	}
}

// A body that two parsers could read in two ways is refused.
func TestPayabliHostileBodies(t *testing.T) {
	const big = 64 << 10
	pad := func(size int) string {
		const frame = `{"email":"cesare@example.com","x":""}`
		return `{"email":"cesare@example.com","x":"` + strings.Repeat("a", size-len(frame)) + `"}`
	}
	for _, tt := range []struct {
		name, header, body string
		status             int
		want               string
	}{
		{"email twice", "", `{"email":"cesare@example.com","email":"ghost@example.com"}`, 400, payabliBad},
		{"email twice in two cases", "", `{"email":"cesare@example.com","EMAIL":"ghost@example.com"}`, 400, payabliBad},
		{"email twice by an escape", "", `{"email":"cesare@example.com","\u0065mail":"ghost@example.com"}`, 400, payabliBad},
		{"type twice", "", `{"email":"cesare@example.com","entryType":2,"entrytype":1}`, 400, payabliBad},
		{"unknown key twice", "", `{"email":"cesare@example.com","x":1,"X":2}`, 400, payabliBad},
		{"not UTF-8", "", "{\"email\":\"c\xffsare@example.com\"}", 400, payabliBad},
		{"UTF-16", "", "\xfe\xff\x00{\x00}", 400, payabliBad},
		{"byte order mark", "", "\ufeff" + payabliBody, 400, payabliBad},
		{"NUL behind it", "", payabliBody + "\x00", 400, payabliBad},
		{"half a character", "", `{"email":"\ud800@example.com"}`, 400, payabliNoEmail},
		{"escaped NUL", "", `{"email":"cesare\u0000@example.com"}`, 400, payabliNoEmail},
		{"Kelvin sign", "", "{\"email\":\"x@\u212a.example\"}", 400, payabliNoEmail},
		{"very deep", "", `{"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, 400, payabliBad},
		{"coded", "Content-Encoding: gzip", payabliBody, 400, payabliBad},
		{"coded as nothing", "Content-Encoding: identity", payabliBody, 400, payabliBad},
		{"just small enough", "", pad(big), 200, payabliSuccess},
		{"just too large", "", pad(big + 1), 413, payabliBad},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakPayabli(t, nil)
			header := payabliHeader
			if tt.header != "" {
				header = append([]string{tt.header}, header...)
			}
			compare(t, w.do("POST", payabliPath, header, tt.body), payabliAnswer(tt.status, tt.want))
			if (tt.status == 200) != (len(w.requests) == 1) {
				t.Errorf("requests %v", w.requests)
			}
		})
	}
	t.Run("too large in pieces", func(t *testing.T) {
		w := speakPayabli(t, nil)
		body := pad(big + 1)
		raw := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", payabliPath, len(body), body)
		compare(t, w.send("POST", raw), payabliAnswer(413, payabliBad))
	})
	t.Run("damaged pieces", func(t *testing.T) {
		w := speakPayabli(t, nil)
		raw := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n%s\r\n0\r\n\r\n", payabliPath, payabliBody)
		compare(t, w.send("POST", raw), payabliAnswer(400, payabliBad))
	})
}

// Whatever stands for the name in the path, it is decoded once, or refused.
func FuzzCatalyzeUsername(f *testing.F) {
	for _, seed := range []string{"cesare", "cesare@example.com", "a/b", "..", ".", "", "a%2Fb", "jörg", "\x00", "\xff", "a b+c", "?#", `a\b`, "\u212a"} {
		f.Add(seed)
	}
	w := speakCatalyze(f, nil)
	f.Fuzz(func(t *testing.T, login string) {
		if len(login) > 2000 {
			t.Skip()
		}
		var segment strings.Builder
		for _, c := range []byte(login) {
			fmt.Fprintf(&segment, "%%%02X", c)
		}
		w.t, w.requests = t, nil
		for _, target := range []string{segment.String(), url.PathEscape(login)} {
			got := w.do("GET", catalyzeUser+target, catalyzeHeader, "")
			want := 400
			switch {
			case login == "" || login == "." || login == "..":
				want = 404
			case isLogin(login):
				want = 200
			}
			if got.foreign || got.status != want || !json.Valid([]byte(got.body)) {
				t.Errorf("%q: foreign %t, %d %s, want %d", login, got.foreign, got.status, got.body, want)
			}
		}
		for _, got := range w.logins() {
			if got != login {
				t.Errorf("%q became %q", login, got)
			}
		}
	})
}

// What is taken for a request is one to every other parser of JSON too.
func FuzzPayabliBody(f *testing.F) {
	for _, seed := range []string{payabliBody, `{}`, `[]`, `{"email":"a@b.example","Email":1}`, `{"email":"\ud800@b.example"}`, `{"email":"a@b.example","entry":null,"entryType":2}`, "{\"email\":\"\xff\"}"} {
		f.Add(seed)
	}
	w := speakPayabli(f, nil)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 4000 {
			t.Skip()
		}
		w.t, w.requests = t, nil
		got := w.do("POST", payabliPath, payabliHeader, body)
		switch {
		case got.status == 400 && (got.body == payabliBad || got.body == payabliNoEmail) && w.logins() == nil:
			return
		case got.status != 200 || got.body != payabliSuccess || len(w.logins()) != 1:
			t.Fatalf("%q: %d %s, requests %q", body, got.status, got.body, w.logins())
		}
		var other struct {
			Email     string
			Entry     *string
			EntryType *int
		}
		if err := json.Unmarshal([]byte(body), &other); err != nil || !utf8.ValidString(body) {
			t.Fatalf("%q is taken: %v", body, err)
		}
		if !slices.Equal(w.logins(), []string{other.Email}) || reset.ValidAddress(other.Email) != nil {
			t.Errorf("%q: %q, another parser has %q", body, w.logins(), other.Email)
		}
		if other.EntryType != nil && *other.EntryType != 0 && *other.EntryType != 2 || other.Entry != nil && other.EntryType == nil {
			t.Errorf("%q is taken", body)
		}
	})
}
