package webhookout_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

var change = reset.Change{
	Site:     "app.example.com",
	ID:       "chg_1",
	ResetID:  "R-1",
	Sequence: 1767323045000,
	Account:  reset.Account{ID: "42", Login: "alice", Email: "alice@example.com", Name: "Alice", Locale: "en"},
	Format:   "plain",
	Password: `pässwörd "<&> ✓ with spaces `,
	At:       time.Date(2026, 1, 2, 4, 4, 5, 987654321, time.FixedZone("", 3600)),
}

func TestChangeOnTheWire(t *testing.T) {
	var ids, bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		ids, bodies = append(ids, r.Header.Get("webhook-id")), append(bodies, string(body))
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	target := &webhookout.Target{Client: newClient(t, webhookout.Options{URL: server.URL})}
	for range 2 {
		target.Apply(context.Background(), change)
	}
	if diff := cmp.Diff([]string{"chg_1", "chg_1"}, ids); diff != "" {
		t.Error(diff)
	}
	want := `{"type":"password.changed","timestamp":"2026-01-02T03:04:05Z","data":{"site":"app.example.com","reset_id":"R-1","sequence":1767323045000,` +
		`"account":{"id":"42","login":"alice"},"password":{"format":"plain","value":"pässwörd \"\u003c\u0026\u003e ✓ with spaces "}}}`
	if diff := cmp.Diff([]string{want, want}, bodies); diff != "" {
		t.Error(diff)
	}
	var m struct {
		Data struct{ Password struct{ Value string } }
	}
	if err := json.Unmarshal([]byte(bodies[0]), &m); err != nil || m.Data.Password.Value != change.Password {
		t.Errorf("the app reads %q (%v)", m.Data.Password.Value, err)
	}
}

func TestVerdicts(t *testing.T) {
	long := strings.Repeat("ä", 600)
	problem := func(detail string) string {
		b, _ := json.Marshal(map[string]string{"title": "x", "detail": detail})
		return string(b)
	}
	type attempt = reset.Attempt
	tests := []struct {
		name        string
		status      int
		contentType string
		body        string
		want        attempt // Err is compared by wantErr
		wantErr     string
	}{
		{"204", 204, "", "", attempt{Verdict: reset.Applied}, ""},
		{"200 empty", 200, "", "", attempt{Verdict: reset.Applied}, ""},
		{"200 JSON", 200, "application/json", `{"ok":true}`, attempt{Verdict: reset.Applied}, ""},
		{"2xx is success whatever the JSON says", 202, "application/json", `{"ok":false}`, attempt{Verdict: reset.Applied}, ""},
		{"200 HTML", 200, "text/html", "<!doctype html><title>Home</title>", attempt{Alarm: true}, "not JSON"},
		{"200 text", 200, "text/plain", "OK", attempt{Alarm: true}, "not JSON"},
		{"422", 422, "application/problem+json", problem("Used before."), attempt{Verdict: reset.Refused, Detail: "Used before."}, ""},
		{"422 with controls", 422, "application/problem+json", problem("Used\n\x00 before.\u202e"), attempt{Verdict: reset.Refused, Detail: "Used before."}, ""},
		{"422 long", 422, "application/problem+json", problem(long), attempt{Verdict: reset.Refused, Detail: long[:1000]}, ""},
		{"422 empty", 422, "", "", attempt{Verdict: reset.Refused}, ""},
		{"422 HTML", 422, "text/html", "<p>no", attempt{Verdict: reset.Refused}, ""},
		{"422 detail no text", 422, "application/json", `{"detail":[{"msg":"x"}]}`, attempt{Verdict: reset.Refused}, ""},
		{"422 detail null", 422, "application/json", `{"detail":null}`, attempt{Verdict: reset.Refused}, ""},
		{"422 detail twice", 422, "application/json", `{"detail":"a","detail":"b"}`, attempt{Verdict: reset.Refused}, ""},
		{"422 detail in capitals", 422, "application/json", `{"Detail":"a"}`, attempt{Verdict: reset.Refused}, ""},
		{"410", 410, "", "", attempt{Verdict: reset.Gone}, ""},
		{"409", 409, "", "", attempt{Verdict: reset.Superseded}, ""},
		{"429", 429, "", "", attempt{RetryAfter: 7 * time.Second}, "429"},
		{"503", 503, "", "", attempt{RetryAfter: 7 * time.Second}, "503"},
		{"500", 500, "text/html", "<p>", attempt{RetryAfter: 7 * time.Second}, "500"},
		{"301", 301, "", "", attempt{RetryAfter: 7 * time.Second, Alarm: true}, "redirect"},
		{"400", 400, "", "", attempt{RetryAfter: 7 * time.Second, Alarm: true}, "400"},
		{"401", 401, "", "", attempt{RetryAfter: 7 * time.Second, Alarm: true}, "secret"},
		{"403", 403, "", "", attempt{RetryAfter: 7 * time.Second, Alarm: true}, "URL"},
		{"404", 404, "", "", attempt{RetryAfter: 7 * time.Second, Alarm: true}, "URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				if tt.contentType != "" {
					w.Header().Set("Content-Type", tt.contentType)
				}
				if tt.status >= 300 {
					w.Header().Set("Retry-After", "7")
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			target := &webhookout.Target{Client: newClient(t, webhookout.Options{URL: server.URL + "/hook?s3cret"})}
			got := target.Apply(context.Background(), change)
			err := got.Err
			got.Err = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (tt.wantErr == "") || err != nil && (!strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("error %v, want one with %q", err, tt.wantErr)
			}
		})
	}
}

// An encoder would repair it, and the app would get a password that nobody
// typed.
func TestChangeThatIsNotUTF8(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was sent") }))
	defer server.Close()
	target := &webhookout.Target{Client: newClient(t, webhookout.Options{URL: server.URL})}
	c := change
	c.Password = "a\xff"
	if got := target.Apply(context.Background(), c); got.Verdict != reset.Retry || !got.Alarm || got.Err == nil {
		t.Errorf("got %+v", got)
	}
}
