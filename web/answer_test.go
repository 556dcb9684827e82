package web_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// An answer that is told is known before its first byte leaves.
type early struct {
	*httptest.ResponseRecorder
	told *web.Answer
	seen web.Answer
}

func (e *early) WriteHeader(status int) {
	e.seen = *e.told
	e.ResponseRecorder.WriteHeader(status)
}

func TestOutcomes(t *testing.T) {
	limit := &reset.LimitError{RetryAfter: time.Minute}
	new := func(token, password string) string { return `{"token":"` + token + `","password":"` + password + `"}` }
	const p = "/password-reset"
	for _, tt := range []struct {
		name         string
		site         *fakeSite
		method, path string
		media, body  string
		route        string
		outcome      web.Outcome
		reference    string
	}{
		{name: "form", method: "GET", path: p, route: "ask", outcome: web.OutcomeShown},
		{name: "request", method: "POST", path: p, media: json, body: `{"login":"alice"}`, route: "ask", outcome: web.OutcomeAccepted, reference: "R-2345-6789"},
		{name: "request by form", method: "POST", path: p, media: form, body: "login=alice", route: "ask", outcome: web.OutcomeAccepted, reference: "R-2345-6789"},
		{name: "no login", method: "POST", path: p, media: form, body: "login=", route: "ask", outcome: web.OutcomeMalformed},
		{name: "limit", site: &fakeSite{err: limit}, method: "POST", path: p, media: json, body: `{"login":"alice"}`, route: "ask", outcome: web.OutcomeLimited},
		{name: "no store", site: &fakeSite{err: reset.ErrUnavailable}, method: "POST", path: p, media: json, body: `{"login":"alice"}`, route: "ask", outcome: web.OutcomeUnavailable},
		{name: "fault", site: &fakeSite{err: errors.New("a foreign fault")}, method: "POST", path: p, media: json, body: `{"login":"alice"}`, route: "ask", outcome: web.OutcomeUnavailable},
		{name: "panic", site: &fakeSite{panics: true}, method: "POST", path: p, media: form, body: "login=alice", route: "ask", outcome: web.OutcomeUnavailable},
		{name: "no field", method: "POST", path: p, media: json, body: `{}`, route: "ask", outcome: web.OutcomeMalformed},
		{name: "sent", method: "GET", path: p + "/sent", route: "sent", outcome: web.OutcomeShown},
		{name: "link", method: "GET", path: p + "/link/" + liveToken, route: "link", outcome: web.OutcomeOpened},
		{name: "used link", method: "GET", path: p + "/link/" + claimedToken, route: "link", outcome: web.OutcomePending},
		{name: "dead link", method: "GET", path: p + "/link/dead", route: "link", outcome: web.OutcomeInvalid},
		{name: "no link", method: "GET", path: p + "/link", route: "link", outcome: web.OutcomeInvalid},
		{name: "code", method: "POST", path: p + "/code", media: json, body: `{"login":"alice","code":"` + liveCode + `"}`, route: "code", outcome: web.OutcomeOpened},
		{name: "code by form", method: "POST", path: p + "/code", media: form, body: "login=alice&code=" + liveCode, route: "code", outcome: web.OutcomeOpened},
		{name: "wrong code", method: "POST", path: p + "/code", media: form, body: "login=alice&code=1", route: "code", outcome: web.OutcomeInvalid},
		{name: "changed", method: "POST", path: p + "/new", media: json, body: new(liveToken, goodPassword), route: "new", outcome: web.OutcomeChanged},
		{name: "changed by code", method: "POST", path: p + "/new", media: json, body: `{"login":"alice","code":"` + liveCode + `","password":"` + goodPassword + `"}`, route: "new", outcome: web.OutcomeChanged},
		{name: "pending", site: &fakeSite{result: reset.Result{Status: reset.StatusPending}}, method: "POST", path: p + "/new", media: json, body: new(liveToken, goodPassword), route: "new", outcome: web.OutcomePending},
		{name: "refused", site: &fakeSite{result: reset.Result{Status: reset.StatusRefused}}, method: "POST", path: p + "/new", media: form, body: "token=" + liveToken + "&password=" + goodPassword + "&password_repeat=" + goodPassword, route: "new", outcome: web.OutcomeRefused},
		{name: "gone", site: &fakeSite{result: reset.Result{Status: reset.StatusGone}}, method: "POST", path: p + "/new", media: json, body: new(liveToken, goodPassword), route: "new", outcome: web.OutcomeRefused},
		{name: "superseded", site: &fakeSite{result: reset.Result{Status: reset.StatusSuperseded}}, method: "POST", path: p + "/new", media: json, body: new(liveToken, goodPassword), route: "new", outcome: web.OutcomeRefused},
		{name: "short", method: "POST", path: p + "/new", media: json, body: new(liveToken, "x"), route: "new", outcome: web.OutcomeRefused},
		{name: "short by form", method: "POST", path: p + "/new", media: form, body: "token=" + liveToken + "&password=x&password_repeat=x", route: "new", outcome: web.OutcomeRefused},
		{name: "mismatch", method: "POST", path: p + "/new", media: form, body: "token=" + liveToken + "&password=x&password_repeat=y", route: "new", outcome: web.OutcomeRefused},
		{name: "mismatch on a dead link", method: "POST", path: p + "/new", media: form, body: "token=dead&password=x&password_repeat=y", route: "new", outcome: web.OutcomeInvalid},
		{name: "dead", method: "POST", path: p + "/new", media: json, body: new("dead", goodPassword), route: "new", outcome: web.OutcomeInvalid},
		{name: "cancel page", method: "GET", path: p + "/cancel/" + cancelToken, route: "cancel", outcome: web.OutcomeShown},
		{name: "cancel", method: "POST", path: p + "/cancel/" + cancelToken, media: form, route: "cancel", outcome: web.OutcomeCancelled},
		{name: "dead cancel", method: "POST", path: p + "/cancel/dead", media: form, route: "cancel", outcome: web.OutcomeInvalid},
		{name: "done", method: "GET", path: p + "/done", route: "done", outcome: web.OutcomeShown},
		{name: "pending page", method: "GET", path: p + "/pending", route: "pending", outcome: web.OutcomeShown},
		{name: "policy", method: "GET", path: p + "/policy", route: "policy", outcome: web.OutcomeShown},
		{name: "nothing", method: "GET", path: p + "/nothing", route: "unknown", outcome: web.OutcomeMalformed},
		{name: "method", method: "PUT", path: p, route: "ask", outcome: web.OutcomeMalformed},
		{name: "taken over", method: "GET", path: "/forgot", route: "taken_over", outcome: web.OutcomeShown},
		{name: "two readings", method: "GET", path: "/x%2f..%2fforgot", route: "ambiguous", outcome: web.OutcomeMalformed},
		{name: "well-known", method: "GET", path: "/.well-known/change-password", route: "change_password", outcome: web.OutcomeShown},
		{name: "probe", method: "GET", path: "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", route: "probe", outcome: web.OutcomeMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := tt.site
			if site == nil {
				site = &fakeSite{}
			}
			tell(t, newHandler(t, options(site)), tt.method, tt.path, tt.media, tt.body, tt.route, web.Answer{Outcome: tt.outcome, Reference: tt.reference})
		})
	}
}

// tell makes a request and holds what is told of its answer.
func tell(t *testing.T, h *web.Handler, method, path, media, body, name string, want web.Answer) {
	t.Helper()
	r := httptest.NewRequest(method, "https://app.test"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	route, ok := h.Route(r)
	if !ok {
		t.Fatal("it is passed on")
	}
	if route.Name() != name {
		t.Errorf("route %q, want %q", route.Name(), name)
	}
	var told web.Answer
	w := &early{ResponseRecorder: httptest.NewRecorder(), told: &told}
	h.ServeHTTP(w, r, route.Telling(&told), visitorIP)
	if told != want || w.seen != want {
		t.Errorf("told %+v, and %+v before the first byte; want %+v", told, w.seen, want)
	}
}

// What a dialect does is told as on our own pages, and where it reveals accounts
// to its clients, the outcome still does not.
func TestOutcomesOfDialects(t *testing.T) {
	limit := &reset.LimitError{RetryAfter: time.Minute}
	weak := &reset.PasswordError{}
	accepted := web.Answer{Outcome: web.OutcomeAccepted, Reference: "R-2345-6789"}
	start := func(s web.Start) func(*web.Call) {
		return func(c *web.Call) {
			c.Trust()
			_, _ = c.Start(s)
			done(c)
		}
	}
	change := func(c *web.Call) {
		_, _ = c.Look(liveToken)
		_, _ = c.Change(liveToken, goodPassword)
		done(c)
	}
	for _, tt := range []struct {
		name string
		site *fakeSite
		do   func(*web.Call)
		want web.Answer
	}{
		{"start", &fakeSite{}, start(web.Start{Login: "alice"}), accepted},
		{"revealed, and there", &fakeSite{}, start(web.Start{Login: "alice", Reveal: true}), web.Answer{Outcome: web.OutcomeAccepted}},
		{"revealed, and not there", &fakeSite{finding: reset.Found + 1}, start(web.Start{Login: "alice", Reveal: true}), web.Answer{Outcome: web.OutcomeAccepted}},
		{"limit", &fakeSite{err: limit}, start(web.Start{Login: "alice"}), web.Answer{Outcome: web.OutcomeLimited}},
		{"words", &fakeSite{}, start(web.Start{Login: "alice", Words: &reset.Words{Subject: "a\nb"}}), web.Answer{Outcome: web.OutcomeMalformed}},
		{"no store", &fakeSite{err: reset.ErrUnavailable}, start(web.Start{Login: "alice"}), web.Answer{Outcome: web.OutcomeUnavailable}},
		{"look", &fakeSite{}, func(c *web.Call) { _, _ = c.Look(liveToken); done(c) }, web.Answer{Outcome: web.OutcomeOpened}},
		{"dead", &fakeSite{}, func(c *web.Call) { _, _ = c.Look("dead"); done(c) }, web.Answer{Outcome: web.OutcomeInvalid}},
		{"code", &fakeSite{}, func(c *web.Call) { _, _ = c.Code("alice", liveCode); done(c) }, web.Answer{Outcome: web.OutcomeOpened}},
		{"wrong code", &fakeSite{}, func(c *web.Call) { _, _ = c.Code("alice", "1"); done(c) }, web.Answer{Outcome: web.OutcomeInvalid}},
		{"changed", &fakeSite{}, change, web.Answer{Outcome: web.OutcomeChanged}},
		{"weak", &fakeSite{resultOf: map[string]error{"Change": weak}}, change, web.Answer{Outcome: web.OutcomeRefused}},
		{"own page", &fakeSite{}, func(c *web.Call) { c.Follow(liveToken) }, web.Answer{Outcome: web.OutcomeOpened}},
		{"panic", &fakeSite{panics: true}, start(web.Start{Login: "alice"}), web.Answer{Outcome: web.OutcomeUnavailable}},
		{"nothing asked", &fakeSite{}, done, web.Answer{Outcome: web.OutcomeShown}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := speaking(tt.site, theirs, tt.do)
			tell(t, newHandler(t, o), "POST", "/theirs/x", json, "{}", "dialect", tt.want)
		})
	}
	o, _ := speaking(&fakeSite{}, theirs, done)
	tell(t, newHandler(t, o), "DELETE", "/theirs/x", json, "", "dialect", web.Answer{Outcome: web.OutcomeMalformed})
}
