package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What a load reports is what it has met: each request once, and no answer that
// was not accepted.
func TestLoad(t *testing.T) {
	paths := make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		if r.URL.Path == "/7" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	l := load{
		address: address, connections: 4,
		request: func(n int) []byte {
			if n >= 100 {
				return nil
			}
			return get(address, "/x")
		},
		accepts: answered(http.StatusOK),
	}
	s, err := l.run(t.Context(), time.Minute)
	if err != nil || s.requests != 100 || len(paths) != 100 || s.p99() < s.p50() || s.p50() <= 0 {
		t.Errorf("%d requests, %d came, p50 %v, p99 %v, %v", s.requests, len(paths), s.p50(), s.p99(), err)
	}
	l.request = func(int) []byte { return get(address, "/7") }
	if _, err := l.run(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("an answer that is not accepted: %v", err)
	}
}

// Two ways that are the same are not told apart, and two that are not are.
func TestCompare(t *testing.T) {
	a := []float64{100, 103, 98, 101, 99, 102, 97, 100}
	b := []float64{101, 99, 100, 98, 102, 100, 103, 97}
	if r := compare(a, b); r.low > 1 || r.high < 1 {
		t.Errorf("the same twice: %v", r)
	}
	for i := range b {
		b[i] *= 2
	}
	if r := compare(a, b); r.high > 0.6 || r.low < 0.4 {
		t.Errorf("half as fast: %v", r)
	}
}

func TestQuantile(t *testing.T) {
	sorted := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]int{0: 1, 0.5: 6, 0.99: 10, 1: 10} {
		if got := quantile(sorted, q); got != want {
			t.Errorf("quantile %v: %d; want %d", q, got, want)
		}
	}
	if quantile([]int(nil), 0.5) != 0 {
		t.Error("a quantile of nothing")
	}
}
