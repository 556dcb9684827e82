package main

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// An app takes every new password at once and counts the changes, each once.
// It checks no signature: what a receiver has to do is not what is measured.
type app struct {
	server *http.Server
	addr   string

	mu      sync.Mutex
	changes map[string]int // by id, how often it was handed over
}

func newApp() (*app, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &app{addr: l.Addr().String(), changes: make(map[string]int)}
	a.server = &http.Server{Handler: a}
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

func (a *app) close() { _ = a.server.Close() }

// ServeHTTP implements [http.Handler].
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	a.changes[r.Header.Get("Webhook-Id")]++
	a.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// count returns how many changes have come.
func (a *app) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.changes)
}
