package directory_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

const testSecret = "whsec_KCCC0wENWUHkqiK8I4MgQlY1rgrSHs0bWfDGYWluDVM="

func newWebhook(tb testing.TB, url string) *directory.Webhook {
	tb.Helper()
	secret, err := webhookout.ParseSecret(testSecret)
	if err != nil {
		tb.Fatal(err)
	}
	client, err := webhookout.New(webhookout.Options{URL: url, Secrets: []webhookout.Secret{secret}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return &directory.Webhook{Client: client, Site: "app.example.com"}
}

// alarms says whether an error calls for the operator.
func alarms(err error) bool {
	var a interface{ Alarm() bool }
	return errors.As(err, &a) && a.Alarm()
}

func TestLookupOnTheWire(t *testing.T) {
	secret, err := webhookout.ParseSecret(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := webhookout.Verify([]webhookout.Secret{secret}, r.Header, body, time.Now()); err != nil {
			t.Error(err)
		}
		ids[r.Header.Get("webhook-id")] = true
		var m struct{ Timestamp time.Time }
		if err := json.Unmarshal(body, &m); err != nil || time.Since(m.Timestamp).Abs() > time.Minute {
			t.Errorf("timestamp %s, error %v", m.Timestamp, err)
		}
		want := fmt.Sprintf(`{"type":"account.lookup","timestamp":%q,"data":{"site":"app.example.com","login":"älice"}}`, m.Timestamp.Format(time.RFC3339))
		if diff := cmp.Diff(want, string(body)); diff != "" {
			t.Error(diff)
		}
		_, _ = io.WriteString(w, `{"accounts":[]}`)
	}))
	defer server.Close()
	d := newWebhook(t, server.URL)
	for range 2 {
		if got, err := d.Lookup(context.Background(), "älice"); err != nil || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if len(ids) != 2 {
		t.Errorf("two lookups had %d ids", len(ids))
	}
}

func TestWebhookAnswers(t *testing.T) {
	alice := reset.Account{ID: "42", Login: "alice", Email: "alice@example.com", Name: "Alice", Locale: "en"}
	accounts := func(list string) string { return `{"accounts":[` + list + `]}` }
	// account returns alice with one field replaced by raw JSON.
	account := func(field, raw string) string {
		m := map[string]json.RawMessage{"id": json.RawMessage(`"42"`), "login": json.RawMessage(`"alice"`), "email": json.RawMessage(`"alice@example.com"`), "name": json.RawMessage(`"Alice"`), "locale": json.RawMessage(`"en"`)}
		m[field] = json.RawMessage(raw)
		if raw == "" {
			delete(m, field)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return accounts(string(b))
	}
	with := func(change func(*reset.Account)) []reset.Account {
		a := alice
		change(&a)
		return []reset.Account{a}
	}
	many := func(n int) (list string, want []reset.Account) {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf(`{"id":%d,"login":"alice%d","email":"alice@example.com"}`, i, i))
			want = append(want, reset.Account{ID: fmt.Sprint(i), Login: fmt.Sprintf("alice%d", i), Email: "alice@example.com"})
		}
		return accounts(strings.Join(parts, ",")), want
	}
	five, fiveAccounts := many(5)
	six, _ := many(6)

	tests := []struct {
		name   string
		status int
		body   string
		want   []reset.Account
		err    string // in the error; "" for none
		calm   bool   // the error is no alarm
	}{
		{"one", 200, account("id", `"42"`), []reset.Account{alice}, "", false},
		{"unknown", 200, accounts(""), nil, "", false},
		{"unknown with 404", 404, accounts(""), nil, "", false},
		{"five", 200, five, fiveAccounts, "", false},
		{"unknown fields", 200, `{"a":{"accounts":1},` + account("admin", "true")[1:], []reset.Account{alice}, "", false},
		{"number", 200, account("id", `42`), []reset.Account{alice}, "", false},
		{"large number", 200, account("id", `9007199254740993`), with(func(a *reset.Account) { a.ID = "9007199254740993" }), "", false},
		{"negative number", 200, account("id", `-1`), with(func(a *reset.Account) { a.ID = "-1" }), "", false},
		{"no name", 200, account("name", ""), with(func(a *reset.Account) { a.Name = "" }), "", false},
		{"null name and locale", 200, account("name", "null"), with(func(a *reset.Account) { a.Name = "" }), "", false},
		{"name with lines", 200, account("name", `"Alice\r\nBcc: x\u202e"`), with(func(a *reset.Account) { a.Name = "Alice Bcc: x" }), "", false},
		{"name too long", 200, account("name", `"`+strings.Repeat("ä", 65)+`"`), with(func(a *reset.Account) { a.Name = strings.Repeat("ä", 64) }), "", false},
		{"POSIX locale", 200, account("locale", `"de_CH"`), with(func(a *reset.Account) { a.Locale = "de_CH" }), "", false},
		{"odd locale", 200, account("locale", `"../../etc"`), with(func(a *reset.Account) { a.Locale = "" }), "", false},
		{"long locale", 200, account("locale", `"`+strings.Repeat("a", 36)+`"`), with(func(a *reset.Account) { a.Locale = "" }), "", false},
		{"empty address", 200, account("email", `""`), with(func(a *reset.Account) { a.Email = "" }), "", false},
		{"null address", 200, account("email", `null`), with(func(a *reset.Account) { a.Email = "" }), "", false},
		{"no address", 200, account("email", ""), with(func(a *reset.Account) { a.Email = "" }), "", false},
		{"no address, and one with it", 200, accounts(`{"id":1,"login":"a"},{"id":2,"login":"b","email":"b@example.com"}`), []reset.Account{{ID: "1", Login: "a"}, {ID: "2", Login: "b", Email: "b@example.com"}}, "", false},

		// Somebody who takes another's address for a login, and has none of their
		// own, must not keep the other from a mail.
		{"odd address, and one that is valid", 200, accounts(`{"id":1,"login":"a@example.com","email":"x@localhost"},{"id":2,"login":"a","email":"a@example.com"}`), []reset.Account{{ID: "1", Login: "a@example.com", Email: "x@localhost"}, {ID: "2", Login: "a", Email: "a@example.com"}}, "", false},
		{"odd addresses only", 200, accounts(`{"id":1,"login":"a","email":"x@localhost"},{"id":2,"login":"b"}`), nil, "account 1 of the answer: domain", false},

		{"bare 404", 404, "", nil, "is the URL", false},
		{"404 with HTML", 404, "<html>", nil, "is the URL", false},
		{"404 with other JSON", 404, `{"error":"not found"}`, nil, "is the URL", false},
		{"404 with an account", 404, account("id", `"42"`), nil, "is the URL", false},
		{"200 HTML", 200, "<html>", nil, "not JSON", false},
		{"200 empty", 200, "", nil, "JSON object", false},
		{"200 array", 200, "[]", nil, "JSON object", false},
		{"200 no accounts", 200, "{}", nil, `no list "accounts"`, false},
		{"accounts null", 200, `{"accounts":null}`, nil, `no list "accounts"`, false},
		{"accounts an object", 200, `{"accounts":{}}`, nil, `no list "accounts"`, false},
		{"accounts in capitals", 200, `{"Accounts":[]}`, nil, `no list "accounts"`, false},
		{"accounts twice", 200, `{"accounts":[],"accounts":[]}`, nil, "twice", false},
		{"account null", 200, accounts("null"), nil, "account 1", false},
		{"six", 200, six, nil, "6 accounts", false},
		{"id twice", 200, accounts(`{"id":1,"login":"a","email":"a@example.com"},{"id":"1","login":"b","email":"b@example.com"}`), nil, "account 2 of the answer: id stands there twice", false},
		{"id twice, without address", 200, accounts(`{"id":1,"login":"a","email":"a@example.com"},{"id":"1","login":"b"}`), nil, "account 2 of the answer: id stands there twice", false},
		{"no login and no address", 200, accounts(`{"id":1}`), nil, "login is empty", false},
		{"odd id and no address", 200, accounts(`{"id":"4\u00002","login":"a"}`), nil, "id is empty", false},
		{"space for an address", 200, account("email", `" "`), nil, "mail address", false},
		{"field twice", 200, accounts(`{"id":1,"login":"a","email":"a@example.com","email":"b@example.com"}`), nil, "twice", false},
		{"no id", 200, account("id", ""), nil, "id is missing", false},
		{"id null", 200, account("id", "null"), nil, "neither a string nor an integer", false},
		{"id empty", 200, account("id", `""`), nil, "id is empty", false},
		{"id a fraction", 200, account("id", "4.2"), nil, "neither a string nor an integer", false},
		{"id with exponent", 200, account("id", "4e2"), nil, "neither a string nor an integer", false},
		{"id with control", 200, account("id", `"4\u00002"`), nil, "id is empty", false},
		{"id with half a character", 200, account("id", `"4\ud8002"`), nil, "id is empty", false},
		{"id of 128", 200, account("id", `"`+strings.Repeat("a", 128)+`"`), with(func(a *reset.Account) { a.ID = strings.Repeat("a", 128) }), "", false},
		{"id of 129", 200, account("id", `"`+strings.Repeat("a", 129)+`"`), nil, "id is empty", false},
		{"id of 129 digits", 200, account("id", strings.Repeat("1", 129)), nil, "id is empty", false},
		{"no login", 200, account("login", ""), nil, "login is empty", false},
		{"login a number", 200, account("login", "1"), nil, "login is not a string", false},
		{"login of 254", 200, account("login", `"`+strings.Repeat("ä", 254)+`"`), with(func(a *reset.Account) { a.Login = strings.Repeat("ä", 254) }), "", false},
		{"login of 255", 200, account("login", `"`+strings.Repeat("a", 255)+`"`), nil, "login is empty", false},
		{"email a list", 200, account("email", `["a@example.com","b@example.com"]`), nil, "email is not a string", false},
		{"two addresses", 200, account("email", `"a@example.com,b@example.com"`), nil, "mail address", false},
		{"quoted local part", 200, account("email", `"\"a> NOTIFY=NEVER \"@example.com"`), nil, "mail address", false},
		{"not UTF-8", 200, "{\"accounts\":[],\"x\":\"\xff\"}", nil, "not UTF-8", false},
		{"201", 201, accounts(""), nil, "201", false},
		{"204", 204, "", nil, "204", false},
		{"301", 301, "", nil, "redirect", false},
		{"401", 401, "", nil, "secret", false},
		{"410", 410, "", nil, "410", false},
		{"422", 422, "", nil, "422", false},
		{"429", 429, "", nil, "429", true},
		{"500", 500, "", nil, "500", true},
		{"too long", 200, `{"accounts":[],"x":"` + strings.Repeat("x", 70_000) + `"}`, nil, "64 KiB", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			got, err := newWebhook(t, server.URL).Lookup(context.Background(), "alice")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want one with %q", err, tt.err)
			}
			if err != nil && alarms(err) == tt.calm {
				t.Errorf("alarm is %v: %v", alarms(err), err)
			}
			if err != nil && (strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "example.com")) {
				t.Errorf("the error names somebody: %v", err)
			}
		})
	}
}

func TestAppIsDown(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if got, err := newWebhook(t, server.URL).Lookup(context.Background(), "alice"); err == nil || got != nil || alarms(err) {
		t.Errorf("got %v, %v", got, err)
	}
}
