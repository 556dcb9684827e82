package caddymodule_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
)

// TestNothingSecretIsLogged sends a canary in all places of all routes, with
// everything well and with everything broken, and follows a real token, with
// all loggers at their most talkative.
func TestNothingSecretIsLogged(t *testing.T) {
	const canary = "canary4aQZ81kd0000000000000000000000000000000000000000000000000000"
	paths := []string{
		"/password-reset/link/" + canary,
		"/PASSWORD-RESET//link/" + canary + "/",
		"/password-reset/link/" + canary + "/x",
		"/password-reset%2flink/" + canary,
		"/password-reset/cancel/" + canary,
		"/password-reset/" + canary,
		"/password-reset;" + canary + "/new",
		"/password-reset/new",
		"/password-reset/code",
		"/password-reset/sent",
		"/password-reset/policy",
		"/password-reset",
		"/forgot-password/" + canary,
		"/x/../forgot-password;" + canary,
		"/.well-known/change-password",
	}
	bodies := []string{
		"",
		"login=" + canary,
		"login=" + canary + "&code=12345678",
		"token=" + canary + "&password=" + canary + "&password_repeat=" + canary,
		`{"login":"` + canary + `"}`,
		`{"login":"` + canary + `","code":"12345678"}`,
		`{"token":"` + canary + `","password":"` + canary + `"}`,
		`{"token":"` + canary,
	}
	attack := func(w *world) {
		for _, path := range paths {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS"} {
				for _, body := range bodies {
					if body != "" && method != "POST" {
						continue
					}
					resp, _ := w.do(method, path+"?token="+canary, body,
						"Referer", "https://app.example.com/password-reset/link/"+canary,
						"Cookie", "__Host-password-reset="+canary,
						"User-Agent", canary,
						"Accept-Language", canary,
						"X-Forwarded-For", canary,
					)
					if location := resp.Header.Get("Location"); strings.Contains(location, canary) {
						t.Errorf("%s %s leads to %s", method, path, location)
					}
				}
			}
		}
	}
	search := func(t *testing.T, w *world, secrets ...string) {
		t.Helper()
		log := w.log()
		for line := range strings.Lines(log) {
			for _, s := range append(secrets, canary, secret, strings.TrimPrefix(secret, "whsec_")) {
				if strings.Contains(line, s) {
					t.Errorf("%.12s… is in the log: %s", s, line)
				}
			}
		}
		if t.Failed() {
			return
		}
		// The log does work, and so does Caddy's own for other paths.
		for _, want := range []string{"handled request", "/of-the-app"} {
			if !strings.Contains(log, want) {
				t.Errorf("no %q in the log", want)
			}
		}
	}

	t.Run("well", func(t *testing.T) {
		w := newWorld(t)
		w.mustLoad(config{})
		w.do("GET", "/of-the-app", "")
		attack(w)
		const password = "a calm sea at night"
		w.ask("alice@example.com")
		m := w.mail("alice@example.com", 1)
		link, err := m.Link("https://app.example.com/password-reset")
		if err != nil {
			t.Fatal(err)
		}
		code, err := m.Code()
		if err != nil {
			t.Fatal(err)
		}
		token := link[strings.LastIndexByte(link, '/')+1:]
		w.expect(200, "<form", "GET", "/password-reset/link/"+token, "", "Referer", link)
		_, answer := w.do("POST", "/password-reset/code", `{"login":"alice","code":"`+code+`"}`)
		_, second, _ := strings.Cut(answer, `"token":"`)
		second, _, _ = strings.Cut(second, `"`)
		if second == "" {
			t.Fatalf("no token for the code: %s", answer)
		}
		w.expect(303, "", "POST", "/password-reset/new", "token="+token+"&password="+password+"&password_repeat="+password, "Referer", link)
		w.mail("alice@example.com", 2)
		search(t, w, token, second, code, password, "alice")
	})
	t.Run("app and mail down", func(t *testing.T) {
		w := newWorld(t)
		w.mustLoad(config{})
		w.app.SetDown(true)
		w.inbox.SetDown(true)
		w.do("GET", "/of-the-app", "")
		attack(w)
		w.ask("alice@example.com")
		until(t, "lookup has failed", func() bool { return len(w.logged("looking up an account failed")) > 0 })
		search(t, w, "alice")
	})
	t.Run("store damaged", func(t *testing.T) {
		w := newWorld(t)
		if err := os.WriteFile(w.path("reset.db"), []byte("no store"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.mustLoad(config{})
		w.do("GET", "/of-the-app", "")
		attack(w)
		search(t, w)
	})
}

// TestSecretsStayPlaceholders holds that what Caddy shows of a loaded
// configuration names secrets and does not hold them.
func TestSecretsStayPlaceholders(t *testing.T) {
	const key, password = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "hunter2-of-mail"
	t.Setenv("RESET_KEY", key)
	w := newWorld(t)
	if err := os.WriteFile(w.path("password"), []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.mustLoad(config{
		global:  "key {env.RESET_KEY}",
		options: "smtp mail.example.com:587 {\n auth reset@example.com {file." + w.path("password") + "}\n}",
		top:     "servers {\n trace\n}",
	})
	w.expect(200, "<form", "GET", "/password-reset", "")
	ctx := caddy.ActiveContext()
	app, err := ctx.AppIfConfigured("password_reset")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{key, password, secret} {
		if strings.Contains(string(shown), secret) || strings.Contains(w.log(), secret) {
			t.Errorf("%.6s… is shown", secret)
		}
	}
	if !strings.Contains(w.log(), "{env.RESET_WEBHOOK_SECRET}") {
		t.Error("trace shows no handler: this test proves nothing")
	}
}

// TestSurplusIsNotRead holds that a body that is too long is refused before it
// has come: whoever sends the rest slowly, or never, holds nothing.
func TestSurplusIsNotRead(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(config{})
	for _, body := range []struct{ kind, text string }{
		{"application/x-www-form-urlencoded", "login=" + strings.Repeat("(", 64<<10)},
		{"application/json", `{"login":"` + strings.Repeat("a", 64<<10)},
	} {
		conn, err := net.Dial("unix", w.path("w.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil { // if it does wait for the rest
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /password-reset HTTP/1.1\r\nHost: app.example.com\r\nContent-Type: %s\r\nContent-Length: 1000000000\r\n\r\n%s", body.kind, body.text)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", body.kind, err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got %s", body.kind, resp.Status)
		}
	}
}

// FuzzCaddyfile throws mutilated blocks at the parser. What it refuses it names
// with file and line; what it takes is the same when it is read back from the
// JSON that Caddy keeps.
func FuzzCaddyfile(f *testing.F) {
	f.Add("password_reset {\n base_url https://app.example.com\n from a@example.com\n limits {\n per_ip 1/1h\n }\n}")
	f.Add("password_reset {\n directory webhook http://127.0.0.1/x {\n timeout 1s\n }\n target file {\n }\n")
	f.Add("password_reset {\n password {\n min_length 15 } }\n smtp a:1 { auth a b }")
	f.Add("password_reset a { b }")
	f.Add("password_reset {\n base_url https://app.example.com\n from a@example.com\n directory file /a.csv\n target webhook http://127.0.0.1/x\n webhook_secret {env.S}\n dialect payabli\n limits {\n per_account 1/1m 5/1h\n }\n}")
	f.Add("password_reset {\n store bbolt /x.db\n key {file./k}\n mails off\n smtp a:25 {\n auth a {env.B}\n connections 3\n }\n}")
	f.Add("password_reset {\n dialect buddy {\n app_id a\n origins * {env.X}\n }\n dialect baasbox\n dialect\n}")
	f.Fuzz(func(t *testing.T, input string) {
		tokens, err := caddyfile.Tokenize([]byte(input), "Caddyfile")
		if err != nil || len(tokens) == 0 {
			return
		}
		for _, module := range []func() caddyfile.Unmarshaler{
			func() caddyfile.Unmarshaler { return new(caddymodule.Handler) },
			func() caddyfile.Unmarshaler { return new(caddymodule.App) },
		} {
			taken := module()
			if err := taken.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
				if !strings.Contains(err.Error(), "Caddyfile:") {
					t.Errorf("no line: %v", err)
				}
				continue
			}
			kept, err := json.Marshal(taken)
			if err != nil {
				t.Fatalf("%q: %v", input, err)
			}
			read := module()
			if err := json.Unmarshal(kept, read); err != nil {
				t.Fatalf("%q becomes %s: %v", input, kept, err)
			}
			if again, err := json.Marshal(read); err != nil || string(again) != string(kept) {
				t.Errorf("%q becomes %s and then %s, %v", input, kept, again, err)
			}
		}
	})
}
