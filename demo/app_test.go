package demo_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

var secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of the sample app, 32 b"))

func startApp(t *testing.T) (*demo.App, *httptest.Server) {
	t.Helper()
	app, err := demo.NewApp(demo.Options{Secret: secret, BcryptCost: bcrypt.MinCost})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(app)
	t.Cleanup(server.Close)
	return app, server
}

// logIn returns the status of a try, with a client that keeps the session.
func logIn(t *testing.T, site, login, password string) (int, *http.Client) {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	resp, err := client.PostForm(site+demo.LoginPath, url.Values{"login": {login}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, client
}

func read(t *testing.T, client *http.Client, address string) (int, string) {
	t.Helper()
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestLogin(t *testing.T) {
	_, server := startApp(t)
	for name, c := range map[string]struct {
		login, password string
		want            int
	}{
		"login":          {"alice", demo.InitialPassword, 200},
		"address":        {"Alice@Example.com", demo.InitialPassword, 200},
		"wrong password": {"alice", "correct horse battery stapler", 401},
		"nobody":         {"mallory", demo.InitialPassword, 401},
		"other case":     {"ALİCE", demo.InitialPassword, 401},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := logIn(t, server.URL, c.login, c.password); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
		})
	}
}

func TestPages(t *testing.T) {
	app, server := startApp(t)
	for path, want := range map[string]string{
		"/":             demo.InitialPassword,
		demo.LoginPath:  `href="/password-reset"`,
		demo.ForgotPath: "Old reset page",
		"/style.css":    "color-scheme",
	} {
		if status, body := read(t, http.DefaultClient, server.URL+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, no %q", path, status, want)
		}
	}
	if got := app.OldResets(); got != 1 {
		t.Errorf("%d visits of the old page", got)
	}
	if status, _ := read(t, http.DefaultClient, server.URL+"/nothing"); status != 404 {
		t.Errorf("status %d for an unknown page", status)
	}
}

func TestLogout(t *testing.T) {
	_, server := startApp(t)
	_, client := logIn(t, server.URL, "alice", demo.InitialPassword)
	if _, body := read(t, client, server.URL); !strings.Contains(body, "Hello, Alice Archer") {
		t.Error("not logged in")
	}
	resp, err := client.Post(server.URL+"/logout", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, body := read(t, client, server.URL); strings.Contains(body, "Hello") {
		t.Error("still logged in")
	}
}

func TestForeignFormIsRefused(t *testing.T) {
	_, server := startApp(t)
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL+demo.LoginPath,
		strings.NewReader(url.Values{"login": {"alice"}, "password": {demo.InitialPassword}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestSetDown(t *testing.T) {
	app, server := startApp(t)
	app.SetDown(true)
	if status, _ := read(t, http.DefaultClient, server.URL); status != 503 {
		t.Errorf("status %d while down", status)
	}
	app.SetDown(false)
	if status, _ := read(t, http.DefaultClient, server.URL); status != 200 {
		t.Errorf("status %d while up", status)
	}
}

func TestNewAppRefusesABadSecret(t *testing.T) {
	if _, err := demo.NewApp(demo.Options{Secret: "whsec_c2hvcnQ="}); err == nil || strings.Contains(fmt.Sprint(err), "c2hv") {
		t.Errorf("got %v", err)
	}
}
