package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// TestDialects holds that a site speaks several dialects beside its own pages,
// and what else comes to the app does.
func TestDialects(t *testing.T) {
	w := newWorld(t)
	text := w.file("reset.txt", "Only in this mail: $link$\n")
	w.mustLoad(config{
		after: "respond app",
		options: "dialect baasbox {\n app_code 2345678901\n email_template_text " + text + "\n}\n" +
			"dialect catalyze\ndialect buddy {\n path /buddy\n}\ndialect payabli {\n request_token {env.RESET_WEBHOOK_SECRET}\n}",
	})
	w.expect(200, `{"result":"ok"`, "GET", "/user/alice/password/reset", "", "X-BAASBOX-APPCODE", "2345678901")
	w.expect(200, `{}`, "GET", "/v2/app/reset/user/nobody", "")
	w.expect(201, `"accessToken"`, "POST", "/buddy/devices", `{"appId":"a","appKey":"b"}`)
	w.expect(200, `"isSuccess":true`, "POST", "/api/User/authreset", `{"email":"nobody@example.com"}`, "requestToken", secret)
	w.expect(401, `"Unauthorized"`, "POST", "/api/User/authreset", `{"email":"nobody@example.com"}`)
	w.expect(200, "<form", "GET", "/password-reset", "")
	w.expect(200, "app", "GET", "/user/alice", "")
	w.expect(200, "app", "POST", "/devices", "{}")

	m := w.mail("alice@example.com", 1)
	const page = "https://app.example.com/user/password/reset/"
	if !strings.Contains(m.Text, "Only in this mail: "+page) {
		t.Errorf("the mail is not worded as the dialect says, or leads elsewhere:\n%s", m.Text)
	}
	_, rest, _ := strings.Cut(m.Text, page)
	token, _, _ := strings.Cut(rest, "\n")
	w.expect(200, "<form", "GET", "/user/password/reset/"+token, "")
}

// TestDialectsReloaded holds that changed options are in effect after a reload,
// and that placeholders are read again for each.
func TestDialectsReloaded(t *testing.T) {
	w := newWorld(t)
	const token = "requestToken"
	with := config{after: "respond app", options: "dialect payabli {\n path {env.TEST_PATH}\n request_token {env.TEST_TOKEN}\n}"}
	call := func(status int, path, value string) {
		t.Helper()
		w.expect(status, "", "POST", path+"/User/authreset", `{"email":"nobody@example.com"}`, token, value)
	}
	w.mustLoad(config{after: "respond app"})
	w.expect(200, "app", "POST", "/one/User/authreset", "{}")
	t.Setenv("TEST_PATH", "/one")
	t.Setenv("TEST_TOKEN", "token-of-old")
	w.mustLoad(with)
	call(200, "/one", "token-of-old")
	call(401, "/one", "token-of-now")
	t.Setenv("TEST_TOKEN", "token-of-now")
	t.Setenv("TEST_PATH", "/two")
	w.mustLoad(with)
	call(200, "/two", "token-of-now")
	call(401, "/two", "token-of-old")
	w.expect(200, "app", "POST", "/one/User/authreset", "{}")

	// Caddy logs the whole configuration here.
	if log := w.log(); !strings.Contains(log, "{env.TEST_TOKEN}") || strings.Contains(log, "token-of-") {
		t.Errorf("what is shown holds no placeholders:\n%s", log)
	}
}

// TestDialectsRefusedAtLoad holds what is said of options that could not be
// judged while parsing: it names site, dialect and option, and what runs goes on.
func TestDialectsRefusedAtLoad(t *testing.T) {
	w := newWorld(t)
	w.overTCP()
	t.Setenv("TEST_BAD", "not good")
	running := config{after: "respond app", options: "limits {\n per_ip off\n}\ndialect payabli"}
	w.mustLoad(running)
	for _, tt := range []struct{ name, options, want string }{
		{"unset", "dialect catalyze {\n app_id {env.TEST_UNSET}\n}", "dialect catalyze: app_id: "},
		{"unset in a list", "dialect catalyze {\n origins https://app.example.com {env.TEST_UNSET}\n}", "dialect catalyze: origins: "},
		{"unset secret", "dialect payabli {\n request_token {env.TEST_UNSET}\n}", "dialect payabli: request_token: "},
		{"secret with braces", "dialect payabli {\n request_token hunter{2}\n}", "dialect payabli: request_token: is neither a plain secret"},
		{"secret file", "dialect payabli {\n request_token {file./nowhere/token}\n}", "dialect payabli: request_token: "},
		{"bad once known", "dialect catalyze {\n path {env.TEST_BAD}\n}", "dialect catalyze: path \"not good\": "},
		{"bad span once known", "dialect baasbox {\n email_expiration_time {env.TEST_BAD}\n}", "dialect baasbox: email_expiration_time: "},
		{"bad secret once known", "dialect payabli {\n request_token {env.TEST_BAD}\n}", "dialect payabli: request_token: "},
		{"missing file", "dialect baasbox {\n configuration /nowhere/baasbox.json\n}", "dialect baasbox: configuration: "},
		{"our pages", "path /devices/here\ndialect buddy {\n path /devices/here\n}", "dialect buddy: path: /devices/here/devices and our own pages at /devices/here overlap"},
		{
			"each other", "dialect baasbox\ndialect catalyze {\n path /user/x/password/reset\n}",
			"dialect catalyze: path: /user/x/password/reset/{appId}/reset/user/{username} and /user/{username}/password/reset/{rest...} of the dialect baasbox overlap",
		},
		{"login page", "login_url /devices\ndialect buddy", "dialect buddy: path: /devices covers login_url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := load(w.caddyfile(config{after: "respond app", options: tt.options}))
			if err == nil || !strings.Contains(err.Error(), "site app.example.com: "+tt.want) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "not good") && strings.Contains(tt.name, "secret") {
				t.Errorf("a secret in: %v", err)
			}
			w.expect(200, `"isSuccess":true`, "POST", "/api/User/authreset", `{"email":"nobody@example.com"}`)
			w.ask("nobody")
		})
	}
	t.Run("JSON", func(t *testing.T) {
		adapted, err := adapt(w.caddyfile(running))
		if err != nil {
			t.Fatal(err)
		}
		for dialects, want := range map[string]string{
			`"payabli":{"requestToken":["x"]}`:  "dialect payabli: unknown option `requestToken`; there are: origins, path, request_token",
			`"payabli":{"request_token":"x"}`:   "dialect payabli: request_token: json: ",
			`"payabli":{"origins":["https:/"]}`: "dialect payabli: origins: ",
			`"parse":{}`:                        "there is no dialect `parse`; there are: " + strings.Join(dialect.Names(), ", "),
		} {
			changed := strings.Replace(string(adapted), `"payabli":{}`, dialects, 1)
			if changed == string(adapted) {
				t.Fatalf("no dialect in %s", adapted)
			}
			err := caddy.Load([]byte(changed), true)
			if err == nil || !strings.Contains(err.Error(), "site app.example.com: "+want) {
				t.Errorf("%s: %v, want %q", dialects, err, want)
			}
		}
		if err := caddy.Load([]byte(strings.Replace(string(adapted), `"payabli":{}`, `"payabli":null`, 1)), true); err != nil {
			t.Error(err)
		}
	})
}

// TestDialectsOfTwins holds that blocks for one site have to have the same
// dialects, also where no Caddyfile has judged them.
func TestDialectsOfTwins(t *testing.T) {
	w := newWorld(t)
	w.overTCP()
	other := func(options string) string {
		all := w.caddyfile(config{after: "respond app", options: options})
		return strings.Replace(all[strings.Index(all, "http://app.example.com"):], "http://app.example.com", "http://api.example.com", 1)
	}
	const spoken = "dialect buddy {\n origins *\n path /buddy\n}"
	if err := load(w.caddyfile(config{options: spoken}) + other("dialect buddy {\n path /buddy\n origins *\n}")); err != nil {
		t.Errorf("equal ones: %v", err)
	}
	w.expect(201, `"accessToken"`, "POST", "/buddy/devices", `{}`)
	w.expect(201, `"accessToken"`, "POST", "/buddy/devices", `{}`, "Host", "api.example.com:"+w.port)
	if err := load(w.caddyfile(config{options: spoken}) + other("dialect buddy {\n path /buddy\n}")); err == nil || !strings.Contains(err.Error(), "differ") {
		t.Errorf("different ones: %v", err)
	}
	adapted, err := adapt(w.caddyfile(config{options: spoken}) + other(spoken))
	if err != nil {
		t.Fatal(err)
	}
	differing := strings.Replace(string(adapted), `"buddy":{`, `"payabli":{},"buddy":{`, 1)
	if err := caddy.Load([]byte(differing), true); err == nil || !strings.Contains(err.Error(), "differ") {
		t.Errorf("different ones in JSON: %v", err)
	}
}

// TestDialectsAreAnnounced holds what the operator reads when a configuration
// is loaded: who reveals accounts, which secret stands in clear, and what a
// dialect has to say of its files.
func TestDialectsAreAnnounced(t *testing.T) {
	const revealing, clear = "told whether an account exists", "a secret stands in clear in the configuration"
	w := newWorld(t)
	t.Setenv("TEST_KEY", "sesame")
	speak := func(options string) {
		t.Helper()
		w.mustLoad(config{options: options})
	}
	speak("dialect buddy {\n app_id one\n app_key {env.TEST_KEY}\n}")
	for _, message := range []string{revealing, clear} {
		if lines := w.logged(message); len(lines) > 0 {
			t.Errorf("logged without need: %v", lines)
		}
	}
	speak("dialect buddy {\n app_id one\n app_key open-sesame\n reveal_accounts\n}\ndialect payabli")
	for message, option := range map[string]any{revealing: nil, clear: "app_key"} {
		lines := w.logged(message)
		if len(lines) != 1 || lines[0]["level"] != "warn" || lines[0]["site"] != "app.example.com" || lines[0]["dialect"] != "buddy" || lines[0]["option"] != option {
			t.Errorf("logged %v", lines)
		}
	}
	for _, line := range w.logged("") {
		if line["logger"] == "http.handlers.password_reset" && strings.Contains(fmt.Sprint(line), "open-sesame") {
			t.Errorf("the secret is in the log: %v", line)
		}
	}

	configuration := w.file("baasbox.conf", "baasbox.settings.PasswordRecovery.network.smtp.host.value=mail.example.com\n")
	speak("dialect baasbox {\n configuration " + configuration + "\n}")
	notes := 0
	for _, line := range w.logged("network.smtp") {
		if line["level"] != "info" || line["site"] != "app.example.com" || line["dialect"] != "baasbox" {
			t.Errorf("logged %v", line)
		}
		notes++
	}
	if notes != 1 {
		t.Errorf("%d notes about a setting that has no use:\n%s", notes, w.log())
	}
}

// TestRequestsInDialectsAreLogged holds the line about a request in a dialect:
// it names the dialect and the reference of the reset, and nothing of the
// request.
func TestRequestsInDialectsAreLogged(t *testing.T) {
	const canary = "canary4aQZ81kd"
	w := newWorld(t)
	w.mustLoad(config{options: "dialect catalyze"})
	w.expect(200, "{}", "GET", "/v2/"+canary+"/reset/user/"+canary+"?"+canary, "", "X-Api-Key", "browser "+canary+" "+canary, "Authorization", "Bearer "+canary)
	w.expect(404, "errors", "GET", "/v2/"+canary+"/reset/user/"+canary+"/"+canary, "")
	w.expect(405, "errors", "DELETE", "/v2/"+canary+"/reset/user/"+canary, "")
	lines := w.logged("handled request")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines {
		if line["dialect"] != "catalyze" || line["site"] != "app.example.com" {
			t.Errorf("logged %v", line)
		}
		if reference, _ := line["reference"].(string); (reference != "") != (i == 0) {
			t.Errorf("line %d: %v", i, line)
		}
	}
	if strings.Contains(w.log(), canary) {
		t.Errorf("the log has what the client sent:\n%s", w.log())
	}
	w.expect(200, "<form", "GET", "/password-reset", "")
	if lines := w.logged("handled request"); lines[len(lines)-1]["dialect"] != nil {
		t.Errorf("a request of ours is in a dialect: %v", lines)
	}
}

// TestDialectsWhileTheStoreIsDown holds that clients are answered in their
// form, and other sites and paths are served.
func TestDialectsWhileTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	w.file("reset.db", "no store")
	w.mustLoad(config{after: "respond app", options: "dialect catalyze\ndialect payabli"})
	w.expect(http.StatusServiceUnavailable, `{"errors":[{`, "GET", "/v2/app/reset/user/alice", "")
	w.expect(http.StatusServiceUnavailable, `"isSuccess":false`, "POST", "/api/User/authreset", `{"email":"alice@example.com"}`)
	w.expect(200, "app", "GET", "/api/User", "")
}

// file writes a file into the folder of the world.
func (w *world) file(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.path(name)
}
