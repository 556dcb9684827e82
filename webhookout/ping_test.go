package webhookout_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

const site = "app.example.com"

// A receiver answers a message by whether it was signed with our secret.
type receiver func(w http.ResponseWriter, ours bool)

func (answer receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	secret, parsed := webhookout.ParseSecret(testSecret)
	if err != nil || parsed != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	answer(w, webhookout.Verify([]webhookout.Secret{secret}, r.Header, body, time.Now()) == nil)
}

// with answers ours and strange messages with a status each, and a page where
// there can be one.
func with(ours, strange int, page string) receiver {
	return func(w http.ResponseWriter, signed bool) {
		status := strange
		if signed {
			status = ours
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, page) // of a 204 nothing is sent
	}
}

const page = "<!DOCTYPE html>s3cret alice@example.com"

func TestPing(t *testing.T) {
	ahead := func(by time.Duration, next receiver) receiver {
		return func(w http.ResponseWriter, ours bool) {
			w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			next(w, ours)
		}
	}
	timeless := func(w http.ResponseWriter, ours bool) {
		w.Header()["Date"] = nil
		with(204, 401, "")(w, ours)
	}
	type want struct {
		step          string
		broken        bool
		problem, cure string
	}
	fine := func(steps ...string) (w []want) {
		for _, s := range steps {
			w = append(w, want{step: s})
		}
		return w
	}
	reached := fine("reach", "clock")
	knowsNone := append(fine("reach", "clock"), want{"hook", false, "knows no ping", "204"}, want{step: "signature"})
	untold := append(fine("reach", "clock"), want{"hook", false, "cannot be told", "401"}, want{"signature", false, "could not be told", "401"})
	for _, tt := range []struct {
		name string
		app  receiver
		want []want
	}{
		{"right", with(204, 401, ""), fine("reach", "clock", "hook", "signature")},
		{"right, with JSON", with(200, 403, "{}"), fine("reach", "clock", "hook", "signature")},
		{"right, with 400 for forgery", with(204, 400, ""), fine("reach", "clock", "hook", "signature")},
		{"no Date", timeless, fine("reach", "hook", "signature")},
		{"checks nothing", with(204, 204, ""), append(fine("reach", "clock", "hook"), want{"signature", true, "somebody else has signed (answer 204)", "check webhook-signature"})},
		{"takes strange ones only", with(401, 200, "{}"), append(fine("reach", "clock"), want{"hook", true, "refuses our signature", "webhook_secret"}, want{"signature", true, "somebody else", "check webhook-signature"})},
		{"another secret", with(401, 401, ""), append(reached, want{"hook", true, "refuses our signature (answer 401)", "the same secret"})},
		{"forbidden", with(403, 403, page), append(reached, want{"hook", true, "forbids our message (answer 403)", "cross-site"})},
		{"wrong path", with(404, 404, page), append(reached, want{"hook", true, "no hook at this URL (answer 404)", "host and path"})},
		{"wrong method", with(405, 405, page), append(reached, want{"hook", true, "no hook at this URL (answer 405)", "POST"})},
		{"redirect", with(301, 301, page), append(reached, want{"hook", true, "redirects (answer 301)", "https://"})},
		{"front controller", with(200, 200, page), append(reached, want{"hook", true, "answers everything", "catch-all"})},
		{"fails", with(500, 500, page), append(reached, want{"hook", true, "the app fails (answer 500)", "the app's log"})},
		{"proxy without an app", with(502, 502, page), append(reached, want{"hook", true, "the app fails (answer 502)", "proxy"})},
		{"down behind a check", with(503, 401, page), append(reached, want{"hook", true, "the app fails (answer 503)", "the app's log"})},
		{"too many", with(429, 429, ""), append(reached, want{"hook", true, "for now (answer 429)", "limit of requests"})},
		{"old, 400", with(400, 401, "{}"), knowsNone},
		{"old, 422", with(422, 401, "{}"), knowsNone},
		{"old, 404 for a type", with(404, 401, ""), knowsNone},
		{"old, gone", with(410, 401, ""), knowsNone},
		{"old, stumbles", with(500, 401, page), knowsNone},
		{"old, 400 for forgery", with(422, 400, ""), knowsNone},
		{"old, limits the second", with(400, 429, ""), append(fine("reach", "clock"), want{"hook", false, "cannot be told", "401"}, want{"signature", false, "could not be told (answer 429)", "later"})},
		{"400 for all", with(400, 400, ""), untold},
		{"422 for all", with(422, 422, ""), untold},
		{"old, takes strange ones", with(400, 204, ""), append(fine("reach", "clock"), want{"hook", false, "cannot be told", "401"}, want{"signature", true, "somebody else", "check"})},
		{"stumbles over forgery", with(204, 500, page), append(fine("reach", "clock", "hook"), want{"signature", false, "could not be told (answer 500)", "401"})},
		{"page for forgery", with(204, 200, page), append(fine("reach", "clock", "hook"), want{"signature", false, "could not be told (answer 200)", "401"})},
		{"limits the second", with(204, 429, ""), append(fine("reach", "clock", "hook"), want{"signature", false, "could not be told (answer 429)", "later"})},
		{"clock behind", ahead(-2*time.Minute, with(204, 401, "")), append(append(fine("reach"), want{"clock", false, "behind ours", "NTP"}), fine("hook", "signature")...)},
		{"clock far ahead", ahead(time.Hour, with(401, 401, "")), append(fine("reach"), want{"clock", true, "ahead of ours, and from 5 minutes", "NTP"}, want{"hook", true, "refuses our signature", "secret"})},
		{"clock of a proxy", ahead(time.Hour, with(204, 401, "")), append(append(fine("reach"), want{"clock", false, "ahead of ours", "NTP"}), fine("hook", "signature")...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.app)
			t.Cleanup(server.Close)
			found := newClient(t, webhookout.Options{URL: server.URL + "/hook?s3cret"}).Ping(t.Context(), site)
			for i, f := range found {
				if len(found) != len(tt.want) {
					break
				}
				w := tt.want[i]
				if f.Step != w.step || f.Broken != w.broken || !strings.Contains(f.Problem, w.problem) || !strings.Contains(f.Cure, w.cure) ||
					(f.Problem == "") != (w.problem == "") || (f.Cure == "") != (w.cure == "") {
					t.Errorf("%+v\nwant %+v", f, w)
				}
				if text := f.Seen + f.Problem + f.Cure; strings.Contains(text, "s3cret") || strings.Contains(text, "alice") {
					t.Errorf("it quotes the app or the query: %+v", f)
				}
			}
			if len(found) != len(tt.want) {
				t.Errorf("%+v\nwant %+v", found, tt.want)
			}
		})
	}
}

// TestPingOnTheWire holds what the app gets: two messages with ids of their
// own, the first signed by all of our secrets and the second by none.
func TestPingOnTheWire(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	var signed []bool
	ids := make(map[string]bool)
	ours := []webhookout.Secret{mustSecret(t, testSecret), mustSecret(t, "whsec_"+strings.Repeat("QUJD", 10))}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		ok := 0
		for _, s := range ours {
			if webhookout.Verify([]webhookout.Secret{s}, r.Header, body, time.Now()) == nil {
				ok++
			}
		}
		bodies, signed = append(bodies, string(body)), append(signed, ok == len(ours))
		ids[r.Header.Get("webhook-id")] = true
		if ok == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	target := &webhookout.Target{Client: newClient(t, webhookout.Options{URL: server.URL, Secrets: ours}), Site: site}
	for _, f := range target.Ping(t.Context()) {
		if f.Problem != "" {
			t.Errorf("%+v", f)
		}
	}
	if diff := cmp.Diff([]bool{true, false}, signed); diff != "" || len(ids) != 2 {
		t.Errorf("%v, %d ids", diff, len(ids))
	}
	for _, body := range bodies {
		var m struct {
			Type      string
			Timestamp time.Time
			Data      map[string]string
		}
		if err := json.Unmarshal([]byte(body), &m); err != nil || m.Type != "ping" || time.Since(m.Timestamp).Abs() > time.Minute || !cmp.Equal(m.Data, map[string]string{"site": site}) {
			t.Errorf("%v: %s", err, body)
		}
	}
}
