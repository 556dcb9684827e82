package caddymodule_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// front puts a proxy before Caddy, which links in mails lead to. change, if not
// nil, sees each answer on its way.
func (w *way) front(change func(*http.Response) error) {
	w.t.Helper()
	to, err := url.Parse(w.site)
	if err != nil {
		w.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to) }, // without X-Forwarded-For
		Transport:      &http.Transport{DisableKeepAlives: true},
		ModifyResponse: change, ErrorLog: quietLog,
	}
	w.base = w.hook(proxy.ServeHTTP)
}

// Each thing that is wrong with where links in mails lead.
func TestCheckAddress(t *testing.T) {
	const part = "base_url"
	w := newWay(t)
	other := func(answer http.HandlerFunc) func(*way) {
		return func(w *way) { w.base = w.hook(answer) }
	}
	status := func(code int) func(*way) {
		return other(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(code) })
	}
	redirect := func(to string) func(*way) {
		return other(func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, strings.ReplaceAll(to, "PATH", r.URL.Path)+"?session=s3cret", http.StatusMovedPermanently)
		})
	}
	header := func(name, value string) func(*way) {
		return func(w *way) {
			w.front(func(r *http.Response) error {
				r.Header.Set(name, value)
				return nil
			})
		}
	}
	overTLS := func(edit func(*x509.Certificate)) func(*way) {
		return func(w *way) {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.TLS, s.Config.ErrorLog = w.ca.issue(w.t, edit), quietLog
			s.StartTLS()
			w.t.Cleanup(s.Close)
			w.base = s.URL
		}
	}
	try(t, w, []misconfiguration{
		{"nothing there", func(w *way) { w.base = "http://" + closed(w.t) }, part, "answer", true, "nothing answers at BASE from this machine", "a firewall lets the port through"},
		{"name of nobody", func(w *way) { w.base = "https://shoop.internal" }, part, "answer", true, "the name in BASE does not resolve", "correct `base_url`, or publish"},
		{"redirect to www", redirect("https://www.corner.internalPATH"), part, "our page", true, "redirects (answer 301) to https://www.corner.internal/password-reset/policy, ", "write `base_url https://www.corner.internal`"},
		{"redirect to a folder", redirect("https://www.corner.internal/shopPATH"), part, "our page", true, "redirects", "write `base_url https://www.corner.internal/shop`"},
		{"redirect to the app's login", redirect("/login"), part, "our page", true, "redirects (answer 301) to BASE/login, ", "`password_reset` stands in its block"},
		{"404 of another app", status(404), part, "our page", true, "something else answers there, with 404", "`password_reset` stands in its block"},
		{"proxy before nobody", status(502), part, "our page", true, "does not reach Caddy", "start Caddy, or correct where the proxy passes"},
		{"maintenance of a CDN", other(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "60")
			rw.WriteHeader(http.StatusServiceUnavailable)
		}), part, "our page", true, "a proxy or CDN answers there, with 503", "its log says"},
		{"limit of a CDN", status(429), part, "our page", false, "limits requests", "leave BASE/password-reset to ours"},
		{"no TLS there", func(w *way) { w.base = "https" + strings.TrimPrefix(w.base, "http") }, part, "answer", true, "https:// is in `base_url`, and no TLS is spoken there", "http:// only for tests"},
		{"TLS there", func(w *way) {
			overTLS(nil)(w)
			w.base = "http" + strings.TrimPrefix(w.base, "https")
		}, part, "our page", true, "TLS is spoken there, and `base_url` says http://", "write https:// in `base_url`"},
		{"certificate that nobody trusts", func(w *way) {
			overTLS(nil)(w)
			w.horizon.Roots = newAuthority(w.t).pool()
		}, part, "answer", true, "signed by nobody whom this machine trusts", "caddy trust"},
		{"certificate for another name", overTLS(func(c *x509.Certificate) { c.IPAddresses = nil }), part, "answer", true, "for another name", "let the site's address in the Caddyfile"},
		{"certificate expired", overTLS(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), part, "answer", true, "not valid now", "renew it"},
		{"cache", header("Age", "7"), part, "headers", false, "keeps copies", "have it pass BASE/password-reset on without a cache"},
		{"cache that says so", header("Cache-Control", "public, max-age=600"), part, "headers", false, "keeps copies", "without a cache"},
		{"headers removed", header("Content-Security-Policy", ""), part, "headers", false, "Content-Security-Policy", "leave the headers of these pages"},
		{"form swallowed", func(w *way) {
			w.front(func(r *http.Response) error {
				if !strings.HasSuffix(r.Request.URL.Path, "/policy") {
					return io.ErrUnexpectedEOF
				}
				return nil
			})
		}, part, "headers", true, "the form does not answer", "its log says why"},
		{"never answers", func(w *way) {
			w.base = "http://" + says(w.t)
			w.briefly()
		}, part, "answer", true, "nothing answers at BASE", "firewall"},
		{"site in another block", func(w *way) {
			// Links lead to the block of another site, which has no password_reset.
			l := closed(w.t)
			w.more = "http://" + l + " {\n bind 127.0.0.1\n respond \"<!DOCTYPE html>\"\n}"
			w.base = "http://" + l
		}, part, "our page", true, "something else answers there, with a page of its own", "`password_reset` stands in its block"},
	})
}

// Before the first start nothing can answer, and what is edited is not loaded yet.
func TestCheckAddressBefore(t *testing.T) {
	const part = "base_url"
	w := newWay(t)
	w.running = false
	try(t, w, []misconfiguration{{"first start", func(*way) {}, part, "answer", false, "nothing answers at BASE", "start Caddy, and check again"}})
	w.running = true
	w.load()
	w.running, w.inUse = false, "bbolt:"+w.store
	try(t, w, []misconfiguration{
		{"rules edited", func(w *way) { w.options = "password {\n min_length 20\n}" }, part, "our page", false, "with other rules for passwords", "load it: caddy reload"},
		{"site added", func(w *way) { w.base = "http://" + closed(w.t) }, part, "answer", false, "the Caddy that runs may have another configuration", "load this one: caddy reload"},
	})
	if found := problems(w.check()); len(found) > 0 {
		t.Errorf("beside the Caddy that runs it: %+v", found)
	}
}

// While Caddy loads another configuration it closes connections on which nothing
// was answered yet. The check asks again, as a browser does.
func TestCheckAddressDuringReload(t *testing.T) {
	w := newWay(t)
	w.front(nil)
	front, err := url.Parse(w.base)
	must(t, err)
	var asked sync.Map // paths
	behind := httputil.NewSingleHostReverseProxy(front)
	w.base = w.hook(func(rw http.ResponseWriter, r *http.Request) {
		if _, again := asked.LoadOrStore(r.URL.Path, true); !again {
			panic(http.ErrAbortHandler)
		}
		behind.ServeHTTP(rw, r)
	})
	if found := problems(w.check()); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}

// A store that does not open shows at both its ends, and each says so.
func TestCheckAddressOfClosedStore(t *testing.T) {
	w := newWay(t)
	if err := os.WriteFile(w.store, []byte("no store"), 0o600); err != nil {
		t.Fatal(err)
	}
	found := problems(w.check())
	if len(found) != 2 || found[0].Part != "store" || !found[0].Broken || found[1].Part != "base_url" || !found[1].Broken ||
		!strings.Contains(found[1].Problem, "its store does not open") || !strings.Contains(found[1].Cure, "do what the check of the store says") {
		t.Errorf("%+v", found)
	}
}

// Visitors who share an address share a limit, and one who chooses it has none.
func TestCheckProxy(t *testing.T) {
	const part, step = "proxy", "visitors' addresses"
	w := newWay(t)
	file := func(kind string, der []byte) string { return pemFile(t, kind, der) }
	shop := w.ca.issue(t, nil).Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(shop.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := "tls " + file("CERTIFICATE", shop.Certificate[0]) + " " + file("PRIVATE KEY", key)
	try(t, w, []misconfiguration{
		{"trusted, but not strictly", func(w *way) { w.top = "servers {\n trusted_proxies static private_ranges\n}" }, part, step, true, "a visitor can choose the address", "write `trusted_proxies_strict` below it"},
		{"forwarded by who is not trusted", func(w *way) {
			w.load()
			w.loaded = true
			w.expect(http.StatusOK, "<form", "GET", "/password-reset", "", "X-Forwarded-For", "192.0.2.1", "Host", "127.0.0.1")
		}, part, step, true, "a proxy that is not trusted", "write `trusted_proxies static private_ranges` and `trusted_proxies_strict`"},
		{"name that leads elsewhere", func(w *way) {
			// An address that no machine has as its own, and that leads here.
			z := goodZone()
			z["shop.internal. TypeA"] = &dnsmessage.AResource{}
			w.horizon.DNS = z.resolver(w.t)
			w.base = "https://shop.internal:" + w.port
			w.site, w.before = w.base, certificate
		}, part, step, false, "leads to another machine, and no proxy is trusted", "`trusted_proxies_strict`"},
	})
	for name, make := range map[string]func(*way){
		"trusted strictly": func(w *way) { w.top = "servers {\n trusted_proxies static private_ranges\n trusted_proxies_strict\n}" },
		// Debian gives a machine's own name this address.
		"name of this machine": func(w *way) {
			z := goodZone()
			z["shop.internal. TypeA"] = &dnsmessage.AResource{A: [4]byte{127, 0, 1, 1}}
			w.horizon.DNS = z.resolver(w.t)
			w.base = "https://shop.internal:" + w.port
			w.site, w.before = w.base, certificate+"\n bind 127.0.1.1"
		},
	} {
		one := *w
		make(&one)
		if found := problems(one.check()); len(found) > 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
