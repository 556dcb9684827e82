package dialect_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

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
