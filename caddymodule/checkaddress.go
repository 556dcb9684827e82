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
	"syscall"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

// Steps of the check of a site's address.
const (
	stepAnswer = "answer"
	stepPage   = "our page"
)

// fetchTime is how long a page of ours may take.
const fetchTime = 15 * time.Second

// fetchTries is how often a page is asked for whose connection was closed.
const fetchTries = 5

// checkAddress asks for our pages as a visitor does, at the address that links in
// mails lead to.
func (c *checkup) checkAddress(ctx context.Context, s *site) []Finding {
	answer, body, err := c.fetch(ctx, s.web.AskLink()+"/policy")
	if err != nil {
		return []Finding{c.unreached(s, err)}
	}
	reached := Finding{Step: stepAnswer, Seen: s.web.AskLink() + " answers"}
	step := Finding{Step: stepPage, Seen: "what answers is this site"}
	var rules passwords.Rules
	switch status := answer.StatusCode; {
	case status >= 300 && status < 400:
		to, samePage := movedTo(answer)
		step.fail(fmt.Sprintf("it redirects (answer %d) to %s, and so would the link in a mail be", status, place(to)), elsewhere)
		if samePage {
			to.Path = strings.TrimSuffix(to.Path, strings.TrimPrefix(answer.Request.URL.Path, base(s).Path))
			step.Cure = "write `base_url " + place(to) + "`, or take the redirect away"
		}
	case status == http.StatusServiceUnavailable && strings.HasPrefix(answer.Header.Get("Content-Type"), "application/problem+json"):
		step.fail("password reset is not available: its store does not open", "do what the check of the store says; Caddy tries again by itself")
	case status == http.StatusTooManyRequests:
		step.advise("something on the way limits requests, and this machine has made too many",
			"try again later; have that limit leave "+s.web.AskLink()+" to ours")
	case status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout:
		step.fail(fmt.Sprintf("a proxy or CDN answers there, with %d: it does not reach Caddy", status),
			"start Caddy, or correct where the proxy passes requests to; its log says what it tried")
	case status == http.StatusBadRequest && base(s).Scheme == "http" && strings.Contains(string(body), "HTTPS"):
		step.fail("TLS is spoken there, and `base_url` says http://", "write https:// in `base_url`")
	case status != http.StatusOK:
		step.fail(fmt.Sprintf("something else answers there, with %d", status), elsewhere)
	case json.Unmarshal(body, &rules) != nil || rules.MinLength == 0:
		step.fail("something else answers there, with a page of its own", elsewhere)
	case rules != s.config.Passwords.Rules():
		step.advise("it is a site like this one, with other rules for passwords",
			"if this configuration was edited since, load it: caddy reload; if another Caddy answers there, correct `base_url`")
	default:
		return []Finding{reached, step, c.checkHeaders(ctx, s)}
	}
	return []Finding{reached, step}
}

// elsewhere is the cure where something other than the site answers.
const elsewhere = "see that the site in the Caddyfile has the host and port of `base_url`, that `password_reset` stands in its block and outside of a `handle` for other paths, and that a proxy or CDN before it passes the path on"

// base is the parsed `base_url`.
func base(s *site) *url.URL {
	u, err := url.Parse(s.baseURL)
	if err != nil {
		return new(url.URL) // refused when it was loaded
	}
	return u
}

// movedTo returns where a redirect leads, and whether that is the same page at
// another address.
func movedTo(answer *http.Response) (to *url.URL, samePage bool) {
	to, err := answer.Location()
	if err != nil {
		return new(url.URL), false
	}
	from := answer.Request.URL
	return to, to.Host+to.Scheme != from.Host+from.Scheme && strings.HasSuffix(to.Path, from.Path)
}

// place is an address without what a query may hold.
func place(u *url.URL) string {
	if u.Host == "" {
		return "nowhere"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// checkHeaders judges what a proxy or CDN has made of a page on its way.
func (c *checkup) checkHeaders(ctx context.Context, s *site) Finding {
	step := Finding{Step: "headers", Seen: "come as they were sent"}
	answer, _, err := c.fetch(ctx, s.web.AskLink())
	switch {
	case err != nil, answer.StatusCode != http.StatusOK:
		step.fail("the form does not answer, though "+s.web.AskLink()+"/policy does", "have the proxy or CDN before Caddy pass "+s.web.AskLink()+" on; its log says why it does not")
	case answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Age") != "":
		step.advise("a proxy or CDN on the way keeps copies of the pages", "have it pass "+s.web.AskLink()+" on without a cache")
	case !strings.Contains(answer.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'"):
		step.advise("something on the way has removed or changed Content-Security-Policy",
			"have `header` in the Caddyfile, the proxy or the CDN leave the headers of these pages as they are")
	}
	return step
}

// unreached says why nobody answers. Where no Caddy uses the store of the
// configuration, that need not be a fault.
func (c *checkup) unreached(s *site, err error) Finding {
	step := Finding{Step: stepAnswer}
	var (
		dns     *net.DNSError
		foreign x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &dns):
		step.fail("the name in "+s.baseURL+" does not resolve", "correct `base_url`, or publish the name in DNS")
	case errors.As(err, &foreign):
		step.fail("its certificate is signed by nobody whom this machine trusts",
			"use a certificate that browsers trust; with `tls internal` trust Caddy's own on this machine: caddy trust")
		step.Broken = c.live()
	case errors.As(err, &name):
		step.fail("the certificate there is for another name", "correct `base_url`, or let the site's address in the Caddyfile have its name")
	case errors.As(err, &invalid):
		step.fail("the certificate there is not valid now", "renew it, and see that the clock is right")
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		step.fail("https:// is in `base_url`, and no TLS is spoken there",
			"write http:// only for tests on this machine; otherwise let Caddy, or the proxy before it, serve https")
	case !c.live():
		step.advise("nothing answers at "+s.baseURL, "start Caddy, and check again")
	case !c.running:
		step.advise("nothing answers at "+s.baseURL+", and the Caddy that runs may have another configuration",
			"load this one: caddy reload; and check again")
	default:
		step.fail("nothing answers at "+s.baseURL+" from this machine",
			"see that the name leads here and that a firewall lets the port through; if only this machine cannot reach its own public address, try from another one")
	}
	return step
}

// fetch asks for a page, again where the connection was closed: a Caddy that loads
// a configuration closes some that it has just accepted.
func (c *checkup) fetch(ctx context.Context, address string) (answer *http.Response, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	for range fetchTries {
		answer, body, err = c.visit(ctx, address)
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			break
		}
	}
	return answer, body, err
}

// visit asks for a page as a browser without a session does.
func (c *checkup) visit(ctx context.Context, address string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("User-Agent", "caddy-password-reset check")
	transport := &http.Transport{ // no proxy of the environment: visitors have none
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: c.app.horizon.roots},
		DialContext: (&net.Dialer{Resolver: c.app.horizon.dns}).DialContext,
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return answer, body, err
}
