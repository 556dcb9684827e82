package directory_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// sound fails the test if a directory returned what must not leave it.
func sound(t *testing.T, accounts []reset.Account) {
	t.Helper()
	if len(accounts) > 5 {
		t.Errorf("%d accounts", len(accounts))
	}
	ids := make(map[string]bool)
	for _, a := range accounts {
		if a.ID == "" || len(a.ID) > 128 || a.Login == "" || utf8.RuneCountInString(a.Login) > 254 ||
			utf8.RuneCountInString(a.Name) > 64 || len(a.Locale) > 35 || a.Email != "" && reset.ValidAddress(a.Email) != nil || ids[a.ID] {
			t.Errorf("got %+v", a)
		}
		for _, s := range []string{a.ID, a.Login, a.Name, a.Locale} {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("got %q", s)
			}
		}
		ids[a.ID] = true
	}
}

func FuzzWebhookAnswer(f *testing.F) {
	f.Add([]byte(`{"accounts":[{"id":42,"login":"alice","email":"alice@example.com","name":"A","locale":"en"}]}`))
	f.Add([]byte(`{"accounts":[]}`))
	f.Add([]byte(`{"accounts":[{"id":1,"login":"a","email":"x@localhost"},{"id":2,"login":"b","email":"b@example.com"}]}`))
	f.Add([]byte(`{"accounts":[{"id":"a\u0000","login":null}],"accounts":[]}`))
	f.Add([]byte(`{"accounts":[{"id":42,"login":"alice","email":null}]}`))
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	f.Cleanup(server.Close)
	d := newWebhook(f, server.URL)
	f.Fuzz(func(t *testing.T, answer []byte) {
		body = answer
		accounts, err := d.Lookup(context.Background(), "alice")
		if err != nil && accounts != nil {
			t.Error("accounts beside an error")
		}
		odd := func(a reset.Account) bool { return a.Email != "" && reset.ValidAddress(a.Email) != nil }
		all := len(accounts)
		if accounts = slices.DeleteFunc(accounts, odd); len(accounts) < all &&
			!slices.ContainsFunc(accounts, func(a reset.Account) bool { return a.Email != "" }) {
			t.Error("odd addresses, and none that is valid")
		}
		sound(t, accounts)
	})
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(header + "1,alice,alice@example.com,A,en\n"))
	f.Add([]byte("email,login,id\r\n\"a@example.com\",\"al\"\"ice\",1\r\n"))
	f.Add([]byte("\ufeffid,login,email\n1,a,\n1,b,b@example.com\n"))
	path := filepath.Join(f.TempDir(), "accounts.csv")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := directory.NewFile(path, nil)
		if err != nil {
			return
		}
		for _, login := range []string{"alice", "a@example.com", "b", string(content[:min(len(content), 10)])} {
			sound(t, lookup(t, d, login))
		}
	})
}

// An app that does not look at the login and returns all of its users must not
// have them mailed.
func TestAppThatReturnsEverybody(t *testing.T) {
	var everybody strings.Builder
	everybody.WriteString(`{"accounts":[{"id":0,"login":"a","email":"a@example.com"}`)
	for range 500 {
		everybody.WriteString(`,{"id":1,"login":"b","email":"b@example.com"}`)
	}
	everybody.WriteString("]}")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, everybody.String())
	}))
	defer server.Close()
	if got, err := newWebhook(t, server.URL).Lookup(context.Background(), "alice"); got != nil || !alarms(err) {
		t.Errorf("got %d accounts, %v", len(got), err)
	}
}

func TestDeepJSON(t *testing.T) {
	deep := `{"accounts":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + "}"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, deep) }))
	defer server.Close()
	if got, err := newWebhook(t, server.URL).Lookup(context.Background(), "alice"); got != nil || err == nil {
		t.Errorf("got %d accounts, %v", len(got), err)
	}
}

func TestFileTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.csv")
	write(t, path, header)
	if err := os.Truncate(path, 64<<20+1); err != nil {
		t.Fatal(err)
	}
	if _, err := directory.NewFile(path, nil); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("got %v", err)
	}
}
