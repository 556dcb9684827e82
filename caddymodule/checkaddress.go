package caddymodule

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

// Steps of the check of a site's address.
const (
	stepAnswer = "answer"
	stepPage   = "our page"
)

// fetchTime is how long a page of ours may take.
const fetchTime = 15 * time.Second

// checkAddress asks for our pages as a visitor does, at the address that links in
// mails lead to.
func (c *checkup) checkAddress(ctx context.Context, s *site) []Finding {
	answer, body, err := fetch(ctx, s.web.AskLink()+"/policy")
	if err != nil {
		return []Finding{c.unreached(s, err)}
	}
	reached := Finding{Step: stepAnswer, Seen: fmt.Sprintf("%s answers", s.web.AskLink())}
	step := Finding{Step: stepPage, Seen: "what answers is this site", Broken: true}
	var rules passwords.Rules
	switch status := answer.StatusCode; {
	case status >= 300 && status < 400:
		step.Problem = fmt.Sprintf("it redirects (answer %d) to %s, so the link in a mail leads elsewhere", status, place(answer))
		step.Cure = "write the address that it redirects to as `base_url`; from http:// to https:// is the usual case"
	case status == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") != "":
		step.Problem = "password reset is not available: its store does not open"
		step.Cure = "see what the check of the store says"
	case status == http.StatusTooManyRequests:
		step.Broken = false
		step.Problem = "this machine has asked too often to be answered"
		step.Cure = "try again in an hour"
	case status != http.StatusOK:
		step.Problem = fmt.Sprintf("something else answers there, with %d", status)
		step.Cure = "see that the site in the Caddyfile has host, port and path of `base_url`, that `password_reset` stands in its block, and that a proxy or CDN before it passes the path on"
	case json.Unmarshal(body, &rules) != nil || rules.MinLength == 0:
		step.Problem = "something else answers there, with a page of its own"
		step.Cure = "see that `password_reset` stands in the block of the site that `base_url` names, outside of a `handle` that another path goes to, and that a CDN before it does not answer by itself"
	case rules != s.config.Passwords.Rules():
		step.Broken = false
		step.Problem = "it is a site like this one, with other rules for passwords"
		step.Cure = "if the configuration was edited, load it: caddy reload; if another Caddy answers there, correct `base_url`"
	default:
		step.Broken = false
		return append([]Finding{reached, step}, untouched(ctx, s)...)
	}
	step.Seen = ""
	return []Finding{reached, step}
}

// place is where a redirect leads, without what a query may hold.
func place(answer *http.Response) string {
	to, err := answer.Location()
	if err != nil {
		return "nowhere"
	}
	return (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String()
}

// untouched judges what a proxy or CDN has made of a page on its way.
func untouched(ctx context.Context, s *site) []Finding {
	step := Finding{Step: "headers", Seen: "come as they were sent"}
	answer, _, err := fetch(ctx, s.web.AskLink())
	switch {
	case err != nil:
		return []Finding{{Step: step.Step, Broken: true, Problem: "the form does not answer, though the rules for passwords do", Cure: "see the log of the proxy or CDN before Caddy"}}
	case answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Age") != "":
		step.Problem = "a proxy or CDN on the way keeps copies of the pages"
		step.Cure = "have it pass " + s.web.AskLink() + " on without a cache"
	case !strings.Contains(answer.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'"):
		step.Problem = "something on the way has removed or changed Content-Security-Policy"
		step.Cure = "have `header` in the Caddyfile, the proxy or the CDN leave the headers of these pages as they are"
	default:
		return []Finding{step}
	}
	step.Seen = ""
	return []Finding{step}
}

// unreached says why nobody answers.
func (c *checkup) unreached(s *site, err error) Finding {
	step := Finding{Step: stepAnswer, Broken: c.running}
	host := s.baseURL
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var wrong x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		step.Broken = true
		step.Problem = fmt.Sprintf("the name in %s does not resolve", host)
		step.Cure = "correct `base_url`, or publish the name in DNS"
	case errors.As(err, &unknown):
		step.Problem = "its certificate is signed by nobody whom this machine trusts"
		step.Cure = "use a certificate that browsers trust; with `tls internal` trust Caddy's own on this machine: caddy trust"
	case errors.As(err, &wrong):
		step.Broken = true
		step.Problem = "the certificate there is for another name"
		step.Cure = "correct `base_url`, or let the site's address in the Caddyfile have its name"
	case errors.As(err, &invalid):
		step.Broken = true
		step.Problem = "the certificate there is not valid now"
		step.Cure = "renew it, and see that the clock is right"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		step.Broken = true
		step.Problem = "https:// is in `base_url`, and no TLS is spoken there"
		step.Cure = "write http:// only for tests on this machine; otherwise let Caddy, or the proxy before it, serve https"
	case !c.running:
		step.Problem = fmt.Sprintf("nothing answers at %s", host)
		step.Cure = "start Caddy, and check again"
	default:
		step.Problem = fmt.Sprintf("nothing answers at %s from this machine", host)
		step.Cure = "see that the name leads here and that a firewall lets the port through; if only this machine cannot reach its own public address, try from another one"
	}
	return step
}

// fetch asks for a page as a browser without a session does.
func fetch(ctx context.Context, address string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("User-Agent", "caddy-password-reset check")
	transport := &http.Transport{DisableKeepAlives: true} // no proxy of the environment: visitors have none
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return answer, body, err
}

// A trust is what the configuration says of proxies before Caddy.
type trust struct {
	known  bool // there is a server to ask
	some   bool // proxies are trusted
	strict bool // and the address is taken from the right
}

// trustOf reads it from the servers of a configuration.
func trustOf(ctx caddy.Context) trust {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return trust{}
	}
	t := trust{known: true, strict: true}
	for _, s := range app.(*caddyhttp.App).Servers {
		if s.TrustedProxiesRaw != nil {
			t.some = true
			t.strict = t.strict && s.TrustedProxiesStrict > 0
		}
	}
	return t
}

const trustProxies = "write in the global options: servers { trusted_proxies static private_ranges and trusted_proxies_strict }, as in Caddyfile.example"

// checkProxy looks for the trap that all visitors share the address of a proxy,
// and with it one limit.
func (c *checkup) checkProxy(ctx context.Context, s *site) []Finding {
	step := Finding{Step: "visitors' addresses"}
	switch {
	case !c.trust.known:
		return nil
	case s.lines.proxy.Load():
		step.Broken = true
		step.Problem = "requests came through a proxy that is not trusted: all its visitors share one address, and 20 requests an hour"
		step.Cure = "if it is yours, " + trustProxies + "; if it is not, somebody only pretends"
	case c.trust.some && !c.trust.strict:
		step.Broken = true
		step.Problem = "trusted_proxies stands without trusted_proxies_strict: a visitor can choose the address that limits count"
		step.Cure = "write trusted_proxies_strict below it"
	case c.trust.some:
		step.Seen = "taken from trusted proxies, from the right"
	case !leadsHere(ctx, s):
		step.Problem = "the name in `base_url` leads to another machine, and no proxy is trusted: if a proxy or CDN stands there, all visitors share its address, and 20 requests an hour"
		step.Cure = trustProxies + "; if it is only a router that translates addresses, nothing"
	default:
		step.Seen = "those of connections; no proxy is trusted"
	}
	return []Finding{step}
}

// leadsHere reports whether the name of a site leads to an address of this machine,
// or to none that is known.
func leadsHere(ctx context.Context, s *site) bool {
	base, err := url.Parse(s.baseURL)
	if err != nil {
		return true
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, base.Hostname())
	if err != nil {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range addresses {
		for _, o := range own {
			if n, ok := o.(*net.IPNet); ok && n.IP.Equal(net.ParseIP(a)) {
				return true
			}
		}
	}
	return false
}
