package caddymodule

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/time/rate"
)

// Lines about requests in a second, and at once after a quiet time. A flood
// would fill the disk that the store is on.
const (
	linesPerSecond = 20
	linesAtOnce    = 100
)

// A requestLog writes one line for each of our requests, in the place of
// Caddy's access log. A line is bounded and holds nothing that the visitor
// chose but the method: no path, query, host, header or body. What package web
// says of a request keeps to that.
type requestLog struct {
	log     *slog.Logger
	pace    *rate.Limiter
	dropped atomic.Int64
	proxy   atomic.Bool // the warning about forwarded headers was given
}

func newRequestLog(log *slog.Logger) *requestLog {
	return &requestLog{log: log, pace: rate.NewLimiter(linesPerSecond, linesAtOnce)}
}

func (l *requestLog) line(r *http.Request, ip netip.Addr, status int, took time.Duration, more ...any) {
	if !l.pace.Allow() {
		l.dropped.Add(1)
		return
	}
	attrs := []any{
		"method", fmt.Sprintf("%.16s", r.Method),
		"status", status,
		"duration", took.Seconds(),
	}
	if ip.IsValid() {
		attrs = append(attrs, "client_ip", ip.String())
	}
	if n := l.dropped.Swap(0); n > 0 {
		attrs = append(attrs, "lines_dropped", n)
	}
	l.log.Info("handled request", append(attrs, more...)...)
}

// warnOfProxy warns once if somebody forwards requests whom the operator does
// not trust to do so. If that is their own proxy, all visitors have its
// address and share one limit.
func (l *requestLog) warnOfProxy(r *http.Request) {
	if r.Header["X-Forwarded-For"] == nil && r.Header["Forwarded"] == nil {
		return
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		return
	}
	if l.proxy.CompareAndSwap(false, true) {
		l.log.Warn("a request came with forwarding headers from a peer that is not a trusted proxy; if it is your own proxy, all visitors share one limit: " +
			"write `trusted_proxies static private_ranges` and `trusted_proxies_strict` in the global `servers` block")
	}
}
