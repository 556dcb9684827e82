package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Other traffic is untouched if it loses less than a tenth, or no more than two
// servers at rest differ.
func TestIsolationRow(t *testing.T) {
	steady, shaky := calm{rate: ratio{of: 1, low: 0.97, high: 1.03}}, calm{rate: ratio{of: 1, low: 0.8, high: 1.3}}
	for _, tt := range []struct {
		of     float64
		noise  calm
		target string
		want   verdict
	}{
		{0.96, steady, untouched, pass},
		{0.90, steady, untouched, pass},
		{0.89, steady, untouched, fails},
		{0.89, shaky, untouched, pass},
		{0.79, shaky, untouched, fails},
		{0.2, steady, "", reported},
	} {
		r := trouble{target: tt.target}.row(tt.noise, calm{rate: ratio{of: tt.of}})
		if r.Verdict != tt.want {
			t.Errorf("%v of the rate at rest, noise %v: %q; want %q", tt.of, tt.noise.rate, r.Verdict, tt.want)
		}
	}
}

// A crowd answers for all that it has asked, and asks nothing more once it may not.
func TestCrowd(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	c := gather(t.Context(), load{
		address: address, connections: 3,
		request: func(int) []byte { return get(address, "/") },
		accepts: answered(http.StatusOK),
	})
	c.begin()
	for asked.Load() < 10 {
		time.Sleep(time.Millisecond)
	}
	c.pause()
	if met := c.end(); met.err != nil || int64(met.requests) != asked.Load() || met.requests < 10 {
		t.Errorf("%d answers, %d requests, %v", met.requests, asked.Load(), met.err)
	}
	if met := gather(t.Context(), load{}).end(); met.err != nil || met.requests != 0 {
		t.Errorf("nobody: %d answers, %v", met.requests, met.err)
	}
}

// A relay or an app that never answers takes connections.
func TestSilence(t *testing.T) {
	addr, err := silence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
