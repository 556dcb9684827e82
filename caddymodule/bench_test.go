package caddymodule_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
)

// BenchmarkForeignRequest is what each request of the site that is not ours
// pays: "with" less "without".
func BenchmarkForeignRequest(b *testing.B) {
	w := newWorld(b)
	w.mustLoad(config{})
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	var h *caddymodule.Handler
	for _, s := range app.(*caddyhttp.App).Servers {
		h = handlerIn(s.Routes)
	}
	if h == nil {
		b.Fatal("no handler in the configuration that runs")
	}
	foreign := 0
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { foreign++; return nil })
	for _, way := range []struct {
		name  string
		serve func(http.ResponseWriter, *http.Request) error
	}{
		{"without", next.ServeHTTP},
		{"with", func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, next) }},
	} {
		for _, page := range []struct{ name, path string }{
			{"root", "/"},
			{"asset", "/assets/app.0123456789abcdef.js"},
			{"api", "/api/v1/users/42"},
		} {
			r, answer := httptest.NewRequest(http.MethodGet, page.path, nil), httptest.NewRecorder()
			b.Run(way.name+"/"+page.name, func(b *testing.B) {
				b.ReportAllocs()
				foreign = 0
				n := 0
				for b.Loop() {
					n++
					if err := way.serve(answer, r); err != nil {
						b.Fatal(err)
					}
				}
				if foreign != n {
					b.Errorf("%d of %d requests went on", foreign, n)
				}
			})
		}
	}
}

// handlerIn returns ours among the handlers of routes that are loaded.
func handlerIn(routes caddyhttp.RouteList) *caddymodule.Handler {
	for _, route := range routes {
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *caddymodule.Handler:
				return h
			case *caddyhttp.Subroute:
				if found := handlerIn(h.Routes); found != nil {
					return found
				}
			}
		}
	}
	return nil
}
