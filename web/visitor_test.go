package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

const (
	form = "application/x-www-form-urlencoded"
	json = "application/json"
)

var visitorIP = netip.MustParseAddr("192.0.2.7")

// options are those of a site at https://app.test.
func options(site web.Site) web.Options {
	return web.Options{
		BaseURL:  "https://app.test",
		LoginURL: "/login",
		Name:     "Example",
		TakeOver: []string{"/forgot*"},
		Open: func(context.Context) (web.Site, func(), error) {
			return site, func() {}, nil
		},
	}
}

func newHandler(t *testing.T, o web.Options) *web.Handler {
	t.Helper()
	h, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// visit sends a request; it fails the test if the request is not ours.
func visit(t *testing.T, h *web.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	route, ok := h.Route(r)
	if !ok {
		t.Fatalf("%s %s is passed on", r.Method, r.URL)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r, route, visitorIP)
	return w
}

func get(t *testing.T, h *web.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	return visit(t, h, httptest.NewRequest(http.MethodGet, "https://app.test"+target, nil))
}

func post(t *testing.T, h *web.Handler, target, media, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://app.test"+target, strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	return visit(t, h, r)
}

// handle makes an http.Handler of h, with an app behind it that answers 299.
func handle(h *web.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, ok := h.Route(r)
		if !ok {
			w.WriteHeader(299)
			return
		}
		h.ServeHTTP(w, r, route, visitorIP)
	})
}
