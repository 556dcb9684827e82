package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// Credentials of the clients of a site that asks for them; each is a secret of
// its own, so that it can be searched for.
const (
	catalyzeApp  = "4f1c6d2e-app"
	catalyzeKey  = "525ad5d6993247cccb083e5a"
	baasboxCode  = "9876543210-code"
	buddyApp     = "bbbbbc.buddyapp"
	buddyKey     = "3fc1d0a9-buddy-key"
	buddySecret  = "a-secret-that-is-shared-with-buddy"
	payabliToken = "o.Se...RnU=="
)

// openDialects speak to everybody, as clients that need no key do.
const openDialects = `
	dialect catalyze
	dialect baasbox
	dialect buddy
	dialect payabli
`

// guardedDialects speak to clients with the right credential.
const guardedDialects = `
	dialect catalyze {
		app_id ` + catalyzeApp + `
		api_key {env.CATALYZE_KEY}
	}
	dialect baasbox {
		app_code {env.BAASBOX_CODE}
	}
	dialect buddy {
		app_id ` + buddyApp + `
		app_key {env.BUDDY_KEY}
		shared_secret {env.BUDDY_SECRET}
		caller_text
	}
	dialect payabli {
		request_token {env.PAYABLI_TOKEN}
	}
`

// speak makes the site of a world that has not started yet speak dialects, as
// they are written in the Caddyfile.
func (w *world) speak(dialects string) {
	w.t.Helper()
	w.amend(siteOption, siteOption+dialects)
	for name, value := range map[string]string{
		"CATALYZE_KEY": catalyzeKey, "BAASBOX_CODE": baasboxCode, "BUDDY_KEY": buddyKey, "BUDDY_SECRET": buddySecret, "PAYABLI_TOKEN": payabliToken,
	} {
		w.Env[name] = value
	}
}

// A phrase is a request in a dialect, its headers as pairs in the order and the
// spelling of the client.
type phrase struct {
	method, target string
	header         []string
	body           string
}

// say sends one on a connection of its own. Further headers come last.
func (w *world) say(c phrase, header ...string) reply {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", c.method, c.target)
	all := slices.Concat([]string{"Host", strings.TrimPrefix(w.Site, "http://"), "Connection", "close"}, c.header, header)
	if c.body != "" || c.method == http.MethodPost {
		all = append(all, "Content-Length", fmt.Sprint(len(c.body)))
	}
	for i := 0; i < len(all); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", all[i], all[i+1])
	}
	b.WriteString("\r\n" + c.body)
	r, err := w.send(c.method, b.String())
	if err != nil {
		w.t.Fatalf("%s %s: %v", c.method, c.target, err)
	}
	return r
}

// with returns the phrase with another value of a header, or without it if the
// value is "".
func (c phrase) with(name, value string) phrase {
	header := []string{}
	for i := 0; i < len(c.header); i += 2 {
		if c.header[i] != name {
			header = append(header, c.header[i], c.header[i+1])
		}
	}
	if value != "" {
		header = append(header, name, value)
	}
	c.header = header
	return c
}

// A vendor is a dialect as its clients use it.
type vendor struct {
	name   string
	start  func(login string) phrase // with every credential
	accept answer                    // of every start
}

// What clients are told when they start.
var (
	catalyzeOK = answer{http.StatusOK, plainJSON, `{}`}
	baasboxOK  = answer{http.StatusOK, baasboxJSON, `{"result":"ok","data":"","http_code":200}`}
	buddyOK    = answer{http.StatusOK, plainJSON, `{"status":200,"request_id":"REQUEST-ID","success":true,"result":true}`}
	payabliOK  = answer{http.StatusOK, plainJSON, `{"isSuccess":true,"responseText":"Success"}`}
)

const (
	plainJSON   = "application/json"
	baasboxJSON = "application/json; charset=utf-8"
)

// vendors are all dialects.
var vendors = []vendor{
	{"catalyze", catalyzeStart, catalyzeOK},
	{"baasbox", baasboxStart, baasboxOK},
	{"buddy", buddyStart, buddyOK},
	{"payabli", payabliStart, payabliOK},
}

// openStart is how a client starts where no credential is configured. BaasBox
// has one that everybody knows.
func (v vendor) openStart(login string) phrase {
	if v.name == "baasbox" {
		return openStart(login)
	}
	return v.start(login)
}

func catalyzeStart(login string) phrase {
	return phrase{"GET", "/v2/" + catalyzeApp + "/reset/user/" + url.PathEscape(login), []string{
		"X-Api-Key", "browser api.catalyze.io " + catalyzeKey,
		"Authorization", "Bearer 0c7f26c8-5b4a-4a32-b35a-2e249448bbf2",
		"Accept", "application/json",
	}, ""}
}

func baasboxStart(login string) phrase {
	return phrase{"GET", "/user/" + url.PathEscape(login) + "/password/reset", []string{"X-BAASBOX-APPCODE", baasboxCode}, ""}
}

// openStart is baasboxStart with the code that every BaasBox begins with.
func openStart(login string) phrase {
	return baasboxStart(login).with("X-BAASBOX-APPCODE", "1234567890")
}

func buddyStart(login string) phrase {
	return buddyCall("POST", `{"userName":`+quoted(login)+`,"subject":"Reset Your Password","body":"Use this code: @ResetCode"}`)
}

func buddyFinish(login, code, password string) phrase {
	return buddyCall("PATCH", `{"userName":`+quoted(login)+`,"resetCode":`+quoted(code)+`,"newPassword":`+quoted(password)+`}`)
}

// buddyCall signs as the SDKs do that have a shared secret.
func buddyCall(method, body string) phrase {
	mac := hmac.New(sha256.New, []byte(buddySecret))
	mac.Write([]byte(method + "\n" + buddyApp + "\n/users/password"))
	return phrase{method, "/users/password", []string{
		"Content-Type", "application/json", "Authorization", "Buddy devtok " + hex.EncodeToString(mac.Sum(nil)),
	}, body}
}

// payabliStart asks by address, as these clients do.
func payabliStart(login string) phrase {
	if !strings.Contains(login, "@") {
		login += "@example.com"
	}
	return phrase{
		"POST", "/api/User/authreset",
		[]string{"Content-Type", "application/json", "requestToken", payabliToken},
		`{"email":` + quoted(login) + `,"entry":"acme","entryType":2}`,
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// An answer is what the contract of a vendor fixes of one, with what is new
// each time replaced by a word.
type answer struct {
	Status int
	Media  string
	Body   string
}

// fresh is what is new in every answer of a dialect.
var fresh = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`"request_id":"[0-9a-f]{24}"`), `"request_id":"REQUEST-ID"`},
	{regexp.MustCompile(`"accessToken":"[0-9a-f]{16,}"`), `"accessToken":"TOKEN"`},
	{regexp.MustCompile(`/Date\([0-9]{13}\)/`), `/Date(MILLISECONDS)/`},
}

func masks(body string) string {
	for _, f := range fresh {
		body = f.pattern.ReplaceAllString(body, f.word)
	}
	return body
}

// means returns what an answer says.
func means(r reply) answer {
	return answer{r.Status, r.Header.Get("Content-Type"), masks(r.Body)}
}

// wants compares an answer, and with it what holds for every answer of ours.
func (a answer) wants(t *testing.T, what string, r reply) {
	t.Helper()
	if diff := cmp.Diff(a, means(r)); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", what, diff)
	}
	safe(t, what, r)
}

// safe holds what every answer carries, whatever a vendor's had.
func safe(t *testing.T, what string, r reply) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin", "X-Frame-Options": "DENY",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %s is %q", what, name, got)
		}
	}
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Credentials", "BB-USERNAME"} {
		if got := r.Header.Get(name); got != "" {
			t.Errorf("%s: %s is %q", what, name, got)
		}
	}
	if length := r.Header.Get("Content-Length"); length != fmt.Sprint(len(r.Body)) && r.Body != "" {
		t.Errorf("%s: %d bytes under Content-Length %q", what, len(r.Body), r.Header.Get("Content-Length"))
	}
}

// baasboxForm returns the path of the vendor's own page in a mail.
func (w *world) baasboxForm(m demo.Mail) string {
	w.t.Helper()
	link := regexp.MustCompile(regexp.QuoteMeta(w.Site) + `(/user/password/reset/[A-Za-z0-9_-]{64})`).FindStringSubmatch(m.Text)
	if link == nil {
		w.t.Fatalf("no link to BaasBox's page in the mail:\n%s", m.Text)
	}
	return link[1]
}

// lets tells whether the app lets somebody in.
func (w *world) lets(login, password string) bool {
	w.t.Helper()
	form := url.Values{"login": {login}, "password": {password}}
	return w.do("POST", demo.LoginPath, form.Encode()).Status == http.StatusSeeOther
}

// changes returns how often the app has taken a new password of an account.
func (w *world) changes(id string) (n int) {
	for _, d := range w.App.Deliveries() {
		if d.Type == "password.changed" && d.Account == id && d.Status == http.StatusNoContent {
			n++
		}
	}
	return n
}

// A gate is before the app. While it is shut, lookups wait until hold is
// closed.
type gate struct {
	shut atomic.Bool
	hold chan struct{}
}

func (g *gate) wrap(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == demo.LookupPath && g.shut.Load() {
			select {
			case <-g.hold:
			case <-r.Context().Done():
			}
		}
		app.ServeHTTP(w, r)
	})
}
