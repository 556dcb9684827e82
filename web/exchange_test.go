package web_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// Every route with every method: the status, which of them the domain was asked
// for, and the headers that no answer goes without.
func TestRoutesAndMethods(t *testing.T) {
	const ask = "/password-reset"
	for _, tt := range []struct {
		path             string
		get, post, other int
		allow            string
		opens            bool // GET needs the domain
	}{
		{ask, 200, 400, 405, "GET, HEAD, POST", true},
		{ask + "/sent", 200, 405, 405, "GET, HEAD", true},
		{ask + "/code", 405, 400, 405, "POST", false},
		{ask + "/link/" + liveToken, 200, 405, 405, "GET, HEAD", true},
		{ask + "/link/dead", 410, 405, 405, "GET, HEAD", true},
		{ask + "/link", 410, 405, 405, "GET, HEAD", true},
		{ask + "/new", 405, 400, 405, "POST", false},
		{ask + "/done", 200, 405, 405, "GET, HEAD", false},
		{ask + "/pending", 200, 405, 405, "GET, HEAD", false},
		{ask + "/cancel/" + cancelToken, 200, 200, 405, "GET, HEAD, POST", true},
		{ask + "/cancel/dead", 410, 410, 405, "GET, HEAD, POST", true},
		{ask + "/policy", 200, 405, 405, "GET, HEAD", true},
		{ask + "/nothing", 404, 404, 404, "", false},
		{"/forgot-password", 302, 303, 303, "", true},
		{"/.well-known/change-password", 302, 405, 405, "GET, HEAD", false},
		{"/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", 404, 404, 404, "", false},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get"} {
			t.Run(method+" "+tt.path, func(t *testing.T) {
				site := &fakeSite{}
				o := options(site)
				opened, released := 0, 0
				o.Open = func(context.Context) (web.Site, func(), error) {
					opened++
					return site, func() { released++ }, nil
				}
				r := httptest.NewRequest("GET", "https://app.test"+tt.path, nil)
				r.Method = method
				r.Header.Set("Content-Type", form)
				w := visit(t, newHandler(t, o), r)

				want := tt.other
				switch method {
				case "GET", "HEAD":
					want = tt.get
					if (opened == 1) != tt.opens {
						t.Errorf("the domain was opened %d times", opened)
					}
				case "POST":
					want = tt.post
				}
				if w.Code != want {
					t.Errorf("status %d, want %d", w.Code, want)
				}
				if opened != released {
					t.Errorf("%d opened, %d released", opened, released)
				}
				if allow := w.Header().Get("Allow"); w.Code == 405 && allow != tt.allow {
					t.Errorf("Allow: %q, want %q", allow, tt.allow)
				}
				if method == "HEAD" && w.Body.Len() != 0 {
					t.Error("HEAD has a body")
				}
				if method != "POST" {
					for _, call := range site.calls {
						if call != "Look" && call != "LookCancel" {
							t.Errorf("%s was called", call)
						}
					}
				}
				checkHeaders(t, w)
			})
		}
	}
}

func checkHeaders(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	h := w.Header()
	for name, want := range map[string]string{
		"Cache-Control":                "no-store",
		"Referrer-Policy":              "strict-origin",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"X-Robots-Tag":                 "noindex, nofollow",
	} {
		if got := h.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !strings.HasSuffix(h.Get("Content-Type"), "; charset=utf-8") {
		t.Errorf("Content-Type: %q", h.Get("Content-Type"))
	}
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("no %s in %q", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("policy is too wide: %q", policy)
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s is set", name)
		}
	}
	page := w.Body.String()
	for element, directive := range map[string]string{"style": "style-src ", "script": "script-src "} {
		_, rest, ok := strings.Cut(page, "<"+element+">")
		text, _, _ := strings.Cut(rest, "</"+element+">")
		sum := sha256.Sum256([]byte(text))
		want := directive + "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if ok && !strings.Contains(policy, want) {
			t.Errorf("the %s element is not allowed: want %q in %q", element, want, policy)
		}
		if element == "script" && !ok && w.Body.Len() > 0 && strings.Contains(policy, directive) {
			t.Error("scripts are allowed on a page that has none")
		}
	}
}

// Cross-site requests are refused before their body is read.
func TestCrossSite(t *testing.T) {
	for _, tt := range []struct {
		name, site, origin string
		want               int
	}{
		{"curl", "", "", 303},
		{"same origin", "same-origin", "https://app.test", 303},
		{"typed", "none", "", 303},
		{"null beside same-origin", "same-origin", "null", 303},
		{"old browser", "", "https://app.test", 303},
		{"other host name for us", "cross-site", "https://app.test", 303},
		{"cross-site", "cross-site", "https://evil.test", 403},
		{"cross-site without origin", "cross-site", "", 403},
		{"null beside cross-site", "cross-site", "null", 403},
		{"null alone", "", "null", 403},
		{"subdomain", "same-site", "https://evil.app.test", 403},
		{"old browser, cross-site", "", "https://evil.test", 403},
		{"unknown value", "SAME-ORIGIN", "", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := &fakeSite{}
			body := &watched{Reader: strings.NewReader("login=alice")}
			r := httptest.NewRequest(http.MethodPost, "https://app.test/password-reset", body)
			r.Header.Set("Content-Type", form)
			if tt.site != "" {
				r.Header.Set("Sec-Fetch-Site", tt.site)
			}
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			w := visit(t, newHandler(t, options(site)), r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
			if refused := tt.want == 403; refused && (body.read || len(site.calls) > 0) {
				t.Errorf("refused, but the body was read (%v) or %q called", body.read, site.calls)
			}
			checkHeaders(t, w)
		})
	}
}

type watched struct {
	*strings.Reader
	read bool
}

func (w *watched) Read(p []byte) (int, error) {
	w.read = true
	return w.Reader.Read(p)
}

func TestFaultsOfTheDomain(t *testing.T) {
	for _, tt := range []struct {
		name       string
		err        error
		want       int
		retryAfter string
	}{
		{"limit", &reset.LimitError{RetryAfter: 90*time.Second + 1}, 429, "91"},
		{"limit without time", fmt.Errorf("wrapped: %w", &reset.LimitError{}), 429, "1"},
		{"unavailable", fmt.Errorf("%w: disk", reset.ErrUnavailable), 503, "10"},
		{"unknown", errors.New("anything"), 503, "10"},
	} {
		h := newHandler(t, options(&fakeSite{err: tt.err}))
		for name, answer := range map[string]func() *httptest.ResponseRecorder{
			"ask":         func() *httptest.ResponseRecorder { return post(t, h, "/password-reset", form, "login=alice") },
			"ask, JSON":   func() *httptest.ResponseRecorder { return post(t, h, "/password-reset", json, `{"login":"alice"}`) },
			"code":        func() *httptest.ResponseRecorder { return post(t, h, "/password-reset/code", form, "login=a&code=1") },
			"link":        func() *httptest.ResponseRecorder { return get(t, h, "/password-reset/link/"+liveToken) },
			"new":         func() *httptest.ResponseRecorder { return newPassword(t, h, liveToken, goodPassword, goodPassword) },
			"cancel":      func() *httptest.ResponseRecorder { return post(t, h, "/password-reset/cancel/"+cancelToken, form, "") },
			"cancel page": func() *httptest.ResponseRecorder { return get(t, h, "/password-reset/cancel/"+cancelToken) },
		} {
			w := answer()
			if w.Code != tt.want || w.Header().Get("Retry-After") != tt.retryAfter {
				t.Errorf("%s: %s: %d, Retry-After %q", tt.name, name, w.Code, w.Header().Get("Retry-After"))
			}
			if w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s: %s: sets a cookie", tt.name, name)
			}
			if strings.Contains(w.Body.String(), "disk") || strings.Contains(w.Body.String(), "anything") {
				t.Errorf("%s: %s: the cause is shown", tt.name, name)
			}
			checkHeaders(t, w)
		}
	}
}

// While the domain cannot be opened our routes answer 503, those taken over
// included, and the log has one line a minute.
func TestOpenFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := options(nil)
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Open = func(context.Context) (web.Site, func(), error) { return nil, nil, errors.New("no store") }
		h := newHandler(t, o)
		for _, path := range []string{"/password-reset", "/forgot-password", "/password-reset/sent", "/password-reset/link/" + liveToken} {
			w := get(t, h, path)
			if w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %d", path, w.Code)
			}
			checkHeaders(t, w)
		}
		if w := post(t, h, "/forgot-password", form, "x=y"); w.Code != 503 {
			t.Errorf("POST to a path that is taken over: %d", w.Code)
		}
		if w := get(t, h, "/password-reset/done"); w.Code != 200 {
			t.Errorf("done: %d", w.Code)
		}
		if n := strings.Count(log.String(), "no store"); n != 1 {
			t.Errorf("%d lines in the log:\n%s", n, log.String())
		}
		time.Sleep(time.Minute)
		get(t, h, "/password-reset")
		if n := strings.Count(log.String(), "no store"); n != 2 {
			t.Errorf("%d lines after a minute", n)
		}
		if strings.Contains(log.String(), liveToken) {
			t.Error("the log has a token")
		}
	})
}

func TestPanic(t *testing.T) {
	for accept, want := range map[string]string{
		"text/html": "text/plain; charset=utf-8",
		json:        "application/problem+json; charset=utf-8",
	} {
		var log bytes.Buffer
		site := &fakeSite{panics: true}
		released := false
		o := options(site)
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Open = func(context.Context) (web.Site, func(), error) { return site, func() { released = true }, nil }
		r := httptest.NewRequest(http.MethodGet, "https://app.test/password-reset/link/"+liveToken, nil)
		r.Header.Set("Accept", accept)
		w := visit(t, newHandler(t, o), r)
		if got := w.Header().Get("Content-Type"); w.Code != 500 || got != want || w.Body.Len() == 0 {
			t.Errorf("%s: %d %s: %s", accept, w.Code, got, w.Body)
		}
		checkHeaders(t, w)
		if !released {
			t.Error("the domain was not released")
		}
		if !strings.Contains(log.String(), `msg="panic while answering a request" error=string`) || !strings.Contains(log.String(), "alarm=true") {
			t.Errorf("log:\n%s", log.String())
		}
		if strings.Contains(log.String(), liveToken) || strings.Contains(w.Body.String(), liveToken) {
			t.Errorf("log or answer have a token:\n%s\n%s", log.String(), w.Body)
		}
	}
}

// A person who has gone is no fault of ours.
func TestGoneVisitorIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	o := options(&fakeSite{err: context.Canceled})
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	visit(t, newHandler(t, o), httptest.NewRequestWithContext(ctx, "GET", "https://app.test/password-reset/link/"+liveToken, nil))
	if log.Len() > 0 {
		t.Error(log.String())
	}
}

func TestWaitIsShown(t *testing.T) {
	h := newHandler(t, options(&fakeSite{err: &reset.LimitError{RetryAfter: 2 * time.Minute}}))
	if page := post(t, h, "/password-reset", form, "login=alice").Body.String(); !strings.Contains(page, "Try again in 2 minutes.") {
		t.Errorf("the page does not say when to try again:\n%s", page)
	}
}

func TestProblemOrPage(t *testing.T) {
	h := newHandler(t, options(&fakeSite{}))
	for _, tt := range []struct {
		accept, media string
		problem       bool
	}{
		{"", form, false},
		{"*/*", form, false},
		{"text/html,application/json", form, false},
		{"application/json", form, true},
		{"application/problem+json", form, true},
		{"text/html", json, true},
	} {
		r := httptest.NewRequest("POST", "https://app.test/password-reset", strings.NewReader("{}"))
		r.Header.Set("Content-Type", tt.media)
		r.Header.Set("Accept", tt.accept)
		w := visit(t, h, r)
		if got := strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json"); got != tt.problem || w.Code != 400 {
			t.Errorf("Accept %q, %s: %d %s", tt.accept, tt.media, w.Code, w.Header().Get("Content-Type"))
		}
	}
}
