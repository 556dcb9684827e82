package dialect_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

const (
	// What two BaasBoxes export: one with the pages that it came with, and one
	// with pages that an administrator made.
	baasboxDump   = "testdata/baasbox-dump.json"
	baasboxCustom = "testdata/baasbox-custom.json"

	baasboxInert = ": browsers will neither load what it has from other files nor run scripts in attributes, " +
		"as the token stands in the page's address; write styles and scripts into <style> and <script>"

	shopForm     = "<h1>$application_name$</h1>\n$error$\n<p>$user_name$</p>$form_template$"
	shopFeedback = "<h1>$application_name$</h1>\n$message$\n$error$\n<p>$user_name$</p>"
	shopPolicy   = "default-src 'none'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// file writes a file and returns its path.
func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// opened returns the dialect after Check and Open.
func opened(t testing.TB, set func(*dialect.BaasBox)) (opening, error) {
	t.Helper()
	b := dialect.New("baasbox").(*dialect.BaasBox)
	set(b)
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	contract, err := b.Open()
	return opening{b, contract}, err
}

// An opening is a dialect with what it has opened.
type opening struct {
	*dialect.BaasBox
	web.Contract
}

// texts are the notes, with ! before a warning.
func (o opening) texts() []string {
	var all []string
	for _, n := range o.Notes {
		if n.Warning {
			n.Text = "! " + n.Text
		}
		all = append(all, n.Text)
	}
	return all
}

// An exported configuration is carried over as a whole.
func TestBaasBoxConfiguration(t *testing.T) {
	b, err := opened(t, func(b *dialect.BaasBox) { b.Configuration = baasboxCustom })
	if err != nil {
		t.Fatal(err)
	}
	const text = "Hi $user_name$\nwe received a request to reset your password because you forgot it. " +
		"Please follow this link within 15 minutes and you will receive further information about the reset procedure: $link$\n"
	const html = "Hi $user_name$ <br>we received a request to reset your password because you forgot it. " +
		"Please follow this link within 15 minutes and you will receive further information about the reset procedure: <a href='$link$'>$link$</a> \n"
	want := reset.Wording{Subject: "BaasBox: reset password", Text: text, HTML: html, Link: "$link$", Token: "$token$", Login: "$user_name$"}
	if diff := cmp.Diff(want, b.Wording); diff != "" {
		t.Errorf("wording (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"email.from: not used; write `from` in the site",
		"network.http.*: not used; write `base_url` in the site",
		"network.smtp.*: not used; write `smtp` in the global block or in the site",
		"configuration: " + baasboxCustom + ": page.html.feedback.template" + baasboxInert,
	}, b.texts()); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}

	w := speakBaasBox(t, func(b *dialect.BaasBox) { b.Configuration = baasboxCustom })
	compare(t, w.do("GET", baasboxPath, baasboxHeader, ""), baasboxAnswer(200, baasboxOK))
	if len(w.requests) != 1 || w.requests[0].LinkTTL != 15*time.Minute || w.requests[0].Words != nil {
		t.Errorf("requests %+v", w.requests)
	}
	// A person with a browser finds the form in the page and sends it.
	page := w.do("GET", baasboxLive, nil, "")
	action := regexp.MustCompile(`<form method='post' action='([^']+)'>`).FindStringSubmatch(page.body)
	if page.status != 200 || action == nil || !strings.Contains(page.body, "<title>Example Ltd - New password</title>") || !strings.Contains(page.body, "Hi cesare,") || strings.Contains(page.body, "class='error'") {
		t.Fatalf("%d %s", page.status, page.body)
	}
	again := w.do("POST", action[1], []string{baasboxForm}, form("password", "abc", "repeat-password", "abd"))
	if again.status != 400 || !strings.Contains(again.body, "<p class='error' role='alert'>The new &#34;password&#34; field and the &#34;repeat password&#34; field must be the same.</p>\n<form ") {
		t.Errorf("%d %s", again.status, again.body)
	}
	done := w.do("POST", action[1], []string{baasboxForm}, goodForm())
	if done.status != 200 || !strings.Contains(done.body, "<p class='message'>Password changed</p>\n<p class='error' role='alert'></p>") {
		t.Errorf("%d %s", done.status, done.body)
	}
	for _, got := range []answer{page, again, done} {
		checkCommon(t, got)
		style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(got.body)
		if style == nil {
			t.Fatalf("the style is gone from\n%s", got.body)
		}
		sum := sha256.Sum256([]byte(style[1]))
		policy := strings.Replace(shopPolicy, "; form", "; style-src 'unsafe-hashes' 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; form", 1)
		if got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("Content-Security-Policy") != policy || got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("header %v", got.header)
		}
		if strings.Contains(got.body, "$") {
			t.Errorf("a variable is left in\n%s", got.body)
		}
	}
}

// The two pages that BaasBox comes with are nobody's wish: ours are shown. One
// of them beside another page is one of the operator's.
func TestBaasBoxDefaultPages(t *testing.T) {
	var answer struct {
		Data []struct {
			Parts map[string][]map[string]any `json:"sub sections"`
		} `json:"data"`
	}
	data, err := os.ReadFile(baasboxDump)
	if err == nil {
		err = json.Unmarshal(data, &answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	page := answer.Data[0].Parts["page"]
	form, feedback := page[0]["page.html.template"].(string), page[1]["page.html.feedback.template"].(string)
	option := func(form, feedback string) func(*dialect.BaasBox) {
		return func(b *dialect.BaasBox) {
			b.Configuration = baasboxDump
			if form != "" {
				b.PageHTMLTemplate = file(t, "form.html", form)
			}
			if feedback != "" {
				b.PageHTMLFeedbackTemplate = file(t, "feedback.html", feedback)
			}
		}
	}
	export := func(data string) func(*dialect.BaasBox) {
		return func(b *dialect.BaasBox) { b.Configuration = file(t, "export.json", data) }
	}
	const ours = ": this page and the other are those that BaasBox comes with; our own are shown in their place"
	const exportedForm, exportedFeedback = "configuration: FILE: page.html.template", "configuration: FILE: page.html.feedback.template"
	for _, tt := range []struct {
		name  string
		set   func(*dialect.BaasBox)
		ours  bool
		notes []string // but those on settings that belong elsewhere
	}{
		{"export", option("", ""), true, []string{exportedForm + ours}},
		{"export of Windows", export(strings.ReplaceAll(string(data), `\n`, `\r\n`)), true, []string{exportedForm + ours}},
		{"files", option("\ufeff"+form+"\n", " \t\n"+feedback+"\r\n\r\n"), true, []string{"page_html_template: FILE" + ours}},
		{"export and file", option("", feedback+"\n"), true, []string{exportedForm + ours}},
		{"other form", option(shopForm, ""), false, []string{exportedFeedback + baasboxInert}},
		{"other feedback", option("", shopFeedback), false, []string{exportedForm + baasboxInert}},
		{"form with a change", option(strings.Replace(form, "Hi ", "Hello ", 1), ""), false, []string{"page_html_template: FILE" + baasboxInert, exportedFeedback + baasboxInert}},
		{"feedback with a change", option("", strings.Replace(feedback, "reset password", "new password", 1)), false, []string{exportedForm + baasboxInert, "page_html_feedback_template: FILE" + baasboxInert}},
		{"form with other blanks", option(strings.Replace(form, "\n\n", "\n", 1), ""), false, []string{"page_html_template: FILE" + baasboxInert, exportedFeedback + baasboxInert}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := opened(t, tt.set)
			if err != nil {
				t.Fatal(err)
			}
			var notes []string
			for _, note := range b.texts() {
				for _, path := range []string{b.Configuration, b.PageHTMLTemplate, b.PageHTMLFeedbackTemplate} {
					if path != "" {
						note = strings.ReplaceAll(note, path, "FILE")
					}
				}
				if !strings.Contains(note, ": not used; ") {
					notes = append(notes, note)
				}
			}
			if diff := cmp.Diff(tt.notes, notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			w := speakBaasBox(t, tt.set)
			opens, sent := w.do("GET", baasboxLive, nil, ""), w.do("POST", baasboxLive, []string{baasboxForm}, goodForm())
			if got := strings.Contains(opens.body, `name="password_repeat"`) && sent.header.Get("Location") == "/password-reset/done"; got != tt.ours {
				t.Errorf("our pages: %t, want %t:\n%d %s\n%d %s", got, tt.ours, opens.status, opens.body, sent.status, sent.body)
			}
			if got := opens.status == 200 && strings.Contains(opens.body, "cesare") && sent.status == 200 && strings.Contains(sent.body, "Password changed"); got == tt.ours {
				t.Errorf("the templates: %t, want %t:\n%d %s\n%d %s", got, !tt.ours, opens.status, opens.body, sent.status, sent.body)
			}
		})
	}
}

// Options win over what an exported configuration says of the same.
func TestBaasBoxOptionsWin(t *testing.T) {
	set := func(b *dialect.BaasBox) {
		b.Configuration = baasboxDump
		b.EmailSubject, b.ApplicationName = "Own subject", "Own app"
		b.EmailExpirationTime = time.Hour
		b.EmailTemplateText = file(t, "mail.txt", "\ufeffOwn \\$5 \\\\ text\r\n$ link $")
		b.EmailTemplateHTML = file(t, "mail.html", "<a href=\"$link$\">$token$</a>")
		b.PageHTMLTemplate = file(t, "form.html", shopForm)
		b.PageHTMLFeedbackTemplate = file(t, "feedback.html", shopFeedback)
	}
	b, err := opened(t, set)
	if err != nil {
		t.Fatal(err)
	}
	want := reset.Wording{
		Subject: "Own subject", Text: "Own $5 \\ text\n$link$", HTML: `<a href="$link$">$token$</a>`,
		Link: "$link$", Token: "$token$", Login: "$user_name$",
	}
	if diff := cmp.Diff(want, b.Wording); diff != "" {
		t.Errorf("wording (-want +got):\n%s", diff)
	}
	w := speakBaasBox(t, set)
	w.do("GET", baasboxPath, baasboxHeader, "")
	if w.requests[0].LinkTTL != time.Hour {
		t.Errorf("link lives %s", w.requests[0].LinkTTL)
	}
	if got := w.do("GET", baasboxLive, nil, ""); !strings.HasPrefix(got.body, "<h1>Own app</h1>\n<p>cesare</p><form action='"+baasboxLive+"' method='POST' id='reset_pwd_form'>") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestBaasBoxWording(t *testing.T) {
	text := file(t, "mail.txt", "$link$")
	for _, tt := range []struct {
		name string
		set  func(*dialect.BaasBox)
		want reset.Wording
	}{
		{"none", func(*dialect.BaasBox) {}, reset.Wording{}},
		{"subject", func(b *dialect.BaasBox) { b.EmailSubject = "S" }, reset.Wording{Subject: "S"}},
		{"text", func(b *dialect.BaasBox) { b.EmailTemplateText = text }, reset.Wording{Text: "$link$", Link: "$link$", Token: "$token$", Login: "$user_name$"}},
		{"configuration without mails", func(b *dialect.BaasBox) {
			b.Configuration = file(t, "c.json", `[{"key":"application.name","value":"x"}]`)
		}, reset.Wording{}},
		{"configuration without HTML", func(b *dialect.BaasBox) {
			b.Configuration = file(t, "c.json", `[{"key":"email.template.text","value":"a $link$"},{"key":"email.template.html","value":null}]`)
		}, reset.Wording{Text: "a $link$", Link: "$link$", Token: "$token$", Login: "$user_name$"}},
	} {
		b, err := opened(t, tt.set)
		if diff := cmp.Diff(tt.want, b.Wording); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
	}
}

// The pages, in each outcome.
func TestBaasBoxPages(t *testing.T) {
	set := func(b *dialect.BaasBox) {
		b.ApplicationName = "Shop & <Co>"
		b.PageHTMLTemplate = file(t, "form.html", shopForm)
		b.PageHTMLFeedbackTemplate = file(t, "feedback.html", shopFeedback)
	}
	const head, ready = "<h1>Shop &amp; &lt;Co&gt;</h1>\n", "<form action='" + baasboxLive + "' method='POST' id='reset_pwd_form'>" +
		"<label for='password'>New password</label><input type='password' id='password' name='password' />" +
		"<label for='repeat-password'>Repeat the new password</label><input type='password' id='repeat-password' name='repeat-password' />" +
		"<button type='submit' id='reset_pwd_submit'>Reset the password</button></form>"
	const accepted = "The password was saved and will take effect shortly"
	for _, tt := range []struct {
		name, token, body string
		result            reset.Result
		err               error
		status            int
		want              string
	}{
		{"open", liveToken, "", reset.Result{}, nil, 200, head + "<p>cesare</p>" + ready},
		{"open a dead link", deadToken, "", reset.Result{}, nil, 400, head + baasboxExpired + "\n<p></p>"},
		{"open in another spelling", "%6C" + liveToken[1:], "", reset.Result{}, nil, 400, head + baasboxExpired + "\n<p></p>"},
		{"open a claimed one", claimedToken, "", reset.Result{}, nil, 202, head + accepted + "\n<p>cesare</p>"},
		{"open too often", liveToken, "", reset.Result{}, &reset.LimitError{RetryAfter: time.Minute}, 429, head + "Exception: Too many requests. Please try again later\n<p></p>"},
		{"unavailable", liveToken, "", reset.Result{}, reset.ErrUnavailable, 503, head + "Exception: The service is not available. Please try again later\n<p></p>"},
		{"changed", liveToken, goodForm(), reset.Result{}, nil, 200, head + "Password changed\n<p>cesare</p>"},
		{"pending", liveToken, goodForm(), reset.Result{Status: reset.StatusPending}, nil, 202, head + accepted + "\n<p>cesare</p>"},
		{"refused", liveToken, goodForm(), reset.Result{Status: reset.StatusRefused, Detail: "<b>$link$"}, nil, 400, head + "Example does not accept this password: &lt;b&gt;$link$\n<p>cesare</p>" + ready},
		{"gone", liveToken, goodForm(), reset.Result{Status: reset.StatusGone}, nil, 400, head + "Exception: User not found!\n<p>cesare</p>"},
		{"dead", deadToken, goodForm(), reset.Result{}, nil, 400, head + baasboxDead + "\n<p></p>"},
		{"too short", liveToken, form("password", "a", "repeat-password", "a"), reset.Result{}, nil, 400, head + "Too short: use at least 8 characters.\n<p>cesare</p>" + ready},
		{"absent", liveToken, form("password", "a"), reset.Result{}, nil, 400, head + "The &#39;repeat password&#39; field is missing\n<p>cesare</p>" + ready},
		{"no form", liveToken, "%zz", reset.Result{}, nil, 400, head + "Exception: Error getting submitted data. Please repeat the reset password procedure\n<p>cesare</p>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBaasBox(t, set)
			w.result, w.errs = tt.result, map[string]error{"": tt.err}
			method, header := "GET", []string(nil)
			if tt.body != "" {
				method, header = "POST", []string{baasboxForm}
			}
			compare(t, w.do(method, baasboxLink+tt.token, header, tt.body), expected{tt.status, map[string]string{
				"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": shopPolicy, "Access-Control-Allow-Origin": "",
			}, tt.want})
		})
	}
	w := speakBaasBox(t, set)
	w.login = `<script>$form_template$</script>`
	if got := w.do("GET", baasboxLive, nil, ""); got.body != head+"<p>&lt;script&gt;$form_template$&lt;/script&gt;</p>"+ready {
		t.Errorf("hostile name: %s", got.body)
	}
	get := w.do("GET", baasboxLive, nil, "")
	if got := w.do("HEAD", baasboxLive, nil, ""); got.status != 200 || got.body != "" || got.header.Get("Content-Length") != get.header.Get("Content-Length") {
		t.Errorf("HEAD: %d %v %q", got.status, got.header, got.body)
	}
}

const revealing = "reveal_accounts: clients that show the credential are told whether an account exists"

func TestBaasBoxNotes(t *testing.T) {
	b, err := opened(t, func(b *dialect.BaasBox) { b.AppCode, b.RevealAccounts = "1234567890", true })
	want := []string{"! " + revealing, "! reveal_accounts: everybody knows app_code 1234567890, and can learn who has an account"}
	if err != nil || !cmp.Equal(b.texts(), want) {
		t.Errorf("%v, %q", err, b.texts())
	}
	if b, err := opened(t, func(b *dialect.BaasBox) { b.AppCode, b.RevealAccounts = "own", true }); err != nil || !cmp.Equal(b.texts(), want[:1]) {
		t.Errorf("%v, %q", err, b.texts())
	}
}
