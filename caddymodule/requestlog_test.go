package caddymodule

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRequestLogIsPaced holds that a flood of requests makes few lines, and
// that the next one says how many are missing.
func TestRequestLogIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := newRequestLog(slog.New(slog.NewTextHandler(&b, nil)))
		r := httptest.NewRequest("POST", "/password-reset", nil)
		for range 1000 {
			l.line(r, netip.Addr{}, 429, time.Millisecond)
		}
		if n := strings.Count(b.String(), "\n"); n != linesAtOnce {
			t.Errorf("%d lines, want %d", n, linesAtOnce)
		}
		time.Sleep(time.Second)
		b.Reset()
		l.line(r, netip.Addr{}, 429, time.Millisecond)
		if !strings.Contains(b.String(), "lines_dropped=900") {
			t.Errorf("got %s", b.String())
		}
	})
}

// TestRequestLogIsBounded holds that a line has no room for what a visitor
// writes.
func TestRequestLogIsBounded(t *testing.T) {
	var b bytes.Buffer
	l := newRequestLog(slog.New(slog.NewTextHandler(&b, nil)))
	r := httptest.NewRequest("GET", "/password-reset/link/canary?canary=canary", nil)
	r.Method = strings.Repeat("M", 1000)
	r.Host = "canary"
	r.Header.Set("User-Agent", "canary")
	l.line(r, netip.MustParseAddr("192.0.2.1"), 405, time.Second)
	if line := b.String(); strings.Contains(line, "canary") || len(line) > 300 {
		t.Errorf("got %s", line)
	}
}
