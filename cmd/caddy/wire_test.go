package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A wire is between the program and the app. It notes each delivery of a
// change, also those that the app is too ill to note, and can hold them up.
type wire struct {
	app  http.Handler
	hold chan struct{} // if not nil, deliveries wait until it is closed

	mu  sync.Mutex
	ids []string // webhook-id of each delivery
}

// tap puts a wire into a world that has not started yet.
func (w *world) tap(hold chan struct{}) *wire {
	w.t.Helper()
	v := &wire{app: w.App, hold: hold}
	server := httptest.NewServer(v)
	w.t.Cleanup(server.Close)
	w.Env["RESET_APP"] = strings.TrimPrefix(server.URL, "http://")
	return v
}

func (v *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == demo.ChangedPath {
		v.mu.Lock()
		v.ids = append(v.ids, r.Header.Get("Webhook-Id"))
		v.mu.Unlock()
		if v.hold != nil {
			select {
			case <-v.hold:
			case <-r.Context().Done():
			}
		}
	}
	v.app.ServeHTTP(w, r)
}

func (v *wire) deliveries() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.ids...)
}
