package caddymodule

import (
	"context"
	"net"
	"reflect"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A trust is what the configuration says of proxies before Caddy.
type trust struct {
	some   bool // proxies are trusted
	strict bool // and the address is taken from the right
}

// trustOf reads it from the servers of a configuration.
func trustOf(ctx caddy.Context) trust {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return trust{}
	}
	t := trust{strict: true}
	for _, s := range app.(*caddyhttp.App).Servers {
		// Caddy clears the exported field when it has loaded the module.
		if p := reflect.ValueOf(s).Elem().FieldByName("trustedProxies"); s.TrustedProxiesRaw != nil || p.IsValid() && !p.IsNil() {
			t.some = true
			t.strict = t.strict && s.TrustedProxiesStrict > 0
		}
	}
	return t
}

// trustProxies is the cure where visitors are told apart by nothing.
const trustProxies = "write `trusted_proxies static private_ranges` and `trusted_proxies_strict` in the global `servers` block, as in Caddyfile.example"

// checkProxy looks for the trap that all visitors share the address of a proxy,
// and with it one limit.
func (c *checkup) checkProxy(ctx context.Context, s *site) []Finding {
	step := Finding{Step: "visitors' addresses"}
	proxies := trustOf(c.config)
	switch {
	case s.lines.proxy.Load():
		step.fail("requests came through a proxy that is not trusted: all its visitors share one address, and so the limit `per_ip`",
			"if it is yours, "+trustProxies+"; if it is not, somebody only pretends")
	case proxies.some && !proxies.strict:
		step.fail("trusted_proxies stands without trusted_proxies_strict: a visitor can choose the address that limits count",
			"write `trusted_proxies_strict` below it")
	case proxies.some:
		step.Seen = "taken from trusted proxies, from the right"
	case !c.leadsHere(ctx, s):
		step.advise("the name in `base_url` leads to another machine, and no proxy is trusted: if a proxy or CDN stands there, all visitors share its address, and so the limit `per_ip`",
			trustProxies+"; if it is only a router that translates addresses, nothing")
	default:
		step.Seen = "those of connections; no proxy is trusted"
	}
	return []Finding{step}
}

// leadsHere reports whether the name of a site leads to an address of this machine,
// or to none that is known.
func (c *checkup) leadsHere(ctx context.Context, s *site) bool {
	addresses, err := c.app.horizon.dns.LookupHost(ctx, base(s).Hostname())
	if err != nil {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range addresses {
		if net.ParseIP(a).IsLoopback() {
			return true // also those that no interface lists, as Debian's 127.0.1.1
		}
		for _, o := range own {
			if n, ok := o.(*net.IPNet); ok && n.IP.Equal(net.ParseIP(a)) {
				return true
			}
		}
	}
	return false
}
