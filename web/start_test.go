package web_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

func TestStart(t *testing.T) {
	site := &fakeSite{}
	words := &reset.Words{Subject: "Hello", Text: "@ResetCode"}
	call(t, site, "POST", "", func(c *web.Call) {
		if err := c.Start(web.Start{Login: c.Param("x"), Words: words, LinkTTL: time.Hour}); err != nil {
			t.Error(err)
		}
		done(c)
	})
	want := reset.Request{Login: "alice", ClientIP: visitorIP, Dialect: "theirs", Words: words, LinkTTL: time.Hour}
	if diff := cmp.Diff(want, site.request, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What a person did not mean to ask for is answered as if it had been.
func TestStartOfNobody(t *testing.T) {
	for _, tt := range []struct {
		method string
		header []string
		starts bool
	}{
		{"POST", nil, true},
		{"PUT", nil, true},
		{"GET", nil, true},
		{"HEAD", nil, false},
		{"GET", []string{"Sec-Purpose", "prefetch"}, false},
		{"GET", []string{"Sec-Purpose", "prefetch;prerender"}, false},
		{"GET", []string{"Sec-Purpose", "other", "Purpose", "Prefetch"}, false},
		{"GET", []string{"Sec-Purpose", "other", "Sec-Purpose", "prefetch"}, false},
		{"GET", []string{"Purpose", "prefetch"}, false},
		{"GET", []string{"Purpose", "preview"}, false},
		{"GET", []string{"X-Purpose", "preview"}, false},
		{"GET", []string{"X-Moz", "prefetch"}, false},
		{"GET", []string{"Purpose", "reset"}, true},
		{"GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, false},
		{"GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, false},
		{"GET", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, false},
		{"GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, true},
		{"GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, true},
		{"GET", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "no-cors"}, true},
		{"GET", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, true},
	} {
		site := &fakeSite{}
		w := call(t, site, tt.method, "", func(c *web.Call) {
			if err := c.Start(web.Start{Login: "alice"}); err != nil {
				t.Error(err)
			}
			say("fine")(c)
		}, tt.header...)
		if started := len(site.calls) > 0; started != tt.starts {
			t.Errorf("%s %q: started %v", tt.method, tt.header, started)
		}
		if body := w.Body.String(); w.Code != 200 || body != "fine" && tt.method != "HEAD" || body != "" && tt.method == "HEAD" {
			t.Errorf("%s %q: %d %q", tt.method, tt.header, w.Code, body)
		}
	}
}

// Whom a dialect trusts has no address for the limits, and nobody else is told
// who has an account.
func TestTrust(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		site := &fakeSite{finding: reset.Nobody}
		o, _ := speaking(site, theirs, func(c *web.Call) {
			if c.Trusted() {
				t.Error("trusted from the start")
			}
			if trusted {
				c.Trust()
			}
			if c.Trusted() != trusted {
				t.Errorf("trusted: %v", c.Trusted())
			}
			_ = c.Start(web.Start{Login: "alice"})
			_, _ = c.Look(liveToken)
			_, _ = c.Code("alice", liveCode)
			_, _ = c.Change(liveToken, goodPassword)
			found, err := c.Find("bob")
			if want := map[bool]reset.Finding{false: reset.Found, true: reset.Nobody}[trusted]; found != want || err != nil {
				t.Errorf("trusted %v: found %v, %v", trusted, found, err)
			}
			if c.Param("x") == "submit" {
				c.Submit(liveToken, goodPassword, goodPassword)
			} else {
				c.Follow(liveToken)
			}
		})
		h := newHandler(t, o)
		get(t, h, "/theirs/follow")
		get(t, h, "/theirs/submit")
		calls := []string{"Request", "Look", "Code", "Change", "Look", "Request", "Look", "Code", "Change", "Change"}
		if trusted {
			calls = slices.Insert(calls, 4, "Find")
			calls = slices.Insert(calls, 10, "Find")
		}
		if diff := cmp.Diff(calls, site.calls); diff != "" {
			t.Errorf("trusted %v: (-want +got)\n%s", trusted, diff)
		}
		for i, ip := range site.ips {
			if (ip == visitorIP) == trusted && site.calls[i] != "Find" {
				t.Errorf("trusted %v: %s from %v", trusted, site.calls[i], ip)
			}
		}
	}
}
