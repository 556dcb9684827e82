package web_test

import (
	"errors"
	"net/netip"
	"strings"
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
		c.Trust()
		if found, err := c.Start(web.Start{Login: c.Param("x"), Words: words, LinkTTL: time.Hour}); found != reset.Found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
		done(c)
	})
	want := reset.Request{Login: "alice", ClientIP: visitorIP, Trusted: true, Dialect: "theirs", Words: words, LinkTTL: time.Hour}
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
			if _, err := c.Start(web.Start{Login: "alice"}); err != nil {
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

// Whom a dialect trusts has another limit, and nobody else is told who has an
// account.
func TestTrust(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		site := &fakeSite{finding: reset.Nobody}
		o, _ := speaking(site, theirs, func(c *web.Call) {
			if trusted {
				c.Trust()
			}
			_, _ = c.Start(web.Start{Login: "alice"})
			_, _ = c.Look(liveToken)
			_, _ = c.Code("alice", liveCode)
			_, _ = c.Change(liveToken, goodPassword)
			found, err := c.Start(web.Start{Login: "bob", Reveal: true})
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
		told := map[bool]string{false: "Request", true: "Find"}[trusted]
		calls := []string{"Request", "Look", "Code", "Change", told, "Look", "Request", "Look", "Code", "Change", told, "Change"}
		if diff := cmp.Diff(calls, site.calls); diff != "" {
			t.Errorf("trusted %v: (-want +got)\n%s", trusted, diff)
		}
		for i, ip := range site.ips {
			if ip != visitorIP {
				t.Errorf("trusted %v: %s from %v", trusted, site.calls[i], ip)
			}
		}
		// Our own page, which is the last, has the limit of everybody.
		for i, got := range site.trusted[:len(site.trusted)-1] {
			if got != trusted {
				t.Errorf("trusted %v: call %d of those that say so: %v", trusted, i, got)
			}
		}
	}
}

// Only a client that is trusted words a mail, for a reset and nothing else.
func TestStartWords(t *testing.T) {
	const code = "@Code"
	for _, tt := range []struct {
		name    string
		words   reset.Words
		field   string // that is wrong
		trusted bool
		want    *reset.Words
	}{
		{"a stranger's", reset.Words{Subject: "s", Text: "https://evil.example/"}, "", false, nil},
		{"good", reset.Words{Subject: "s", Text: "Your code:\r\n" + code}, "", true, &reset.Words{Subject: "s", Text: "Your code:\n" + code}},
		{"own link", reset.Words{Subject: "s", Text: code + " https://app.test/x"}, "", true, &reset.Words{Subject: "s", Text: code + " https://app.test/x"}},
		{"no code", reset.Words{Subject: "s", Text: "Hello"}, "body", true, nil},
		{"foreign link", reset.Words{Subject: "s", Text: code + " https://evil.example/"}, "", true, nil},
		{"foreign link with the code in it", reset.Words{Subject: "s", Text: "evil" + code + ".com"}, "", true, nil},
		{"foreign link in the subject", reset.Words{Subject: "evil.com", Text: code}, "", true, nil},
		{"line end in the subject", reset.Words{Subject: "a\nb", Text: code}, "subject", true, nil},
		{"control", reset.Words{Subject: "s", Text: code + "\x1b[2J"}, "body", true, nil},
		{"not UTF-8", reset.Words{Subject: "s", Text: code + "\xff"}, "body", true, nil},
		{"long subject", reset.Words{Subject: strings.Repeat("s", 201), Text: code}, "subject", true, nil},
		{"long text", reset.Words{Subject: "s", Text: code + strings.Repeat("x", 10_000)}, "body", true, nil},
		{"large text", reset.Words{Subject: "s", Text: code + strings.Repeat("語", 9_000)}, "body", true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := &fakeSite{}
			o, v := speaking(site, theirs, func(c *web.Call) {
				if tt.trusted {
					c.Trust()
				}
				_, err := c.Start(web.Start{Login: "alice", Words: &tt.words})
				wrong, _ := errors.AsType[*web.WordsError](err)
				if field := ""; wrong != nil {
					field = wrong.Field
					if field != tt.field || !strings.HasPrefix(wrong.Error(), field+" ") {
						t.Errorf("%v", err)
					}
				} else if tt.field != "" || err != nil {
					t.Errorf("error %v, want one about %q", err, tt.field)
				}
				done(c)
			})
			v.wording.Code = code
			get(t, newHandler(t, o), "/theirs/x")
			if diff := cmp.Diff(tt.want, site.request.Words); diff != "" || (len(site.calls) > 0) != (tt.field == "") {
				t.Errorf("calls %q, words (-want +got)\n%s", site.calls, diff)
			}
		})
	}
}

// Nobody is told, and nothing is looked up, for a GET that nobody asked for.
func TestRevealNeedsARequest(t *testing.T) {
	site := &fakeSite{finding: reset.Nobody}
	call(t, site, "GET", "", func(c *web.Call) {
		c.Trust()
		if found, err := c.Start(web.Start{Login: "alice", Reveal: true}); found != reset.Found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
		done(c)
	}, "Sec-Purpose", "prefetch")
	if len(site.calls) != 0 {
		t.Errorf("calls %q", site.calls)
	}
}
