package reset_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func TestMailsPerAccount(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		start := time.Now()
		// Both names of one account, all the time, for two days.
		for n := range 2 * 24 * 12 {
			w.ask([]string{"alice", "alice@example.com"}[n%2])
			time.Sleep(5 * time.Minute)
		}
		times := []time.Time{}
		for _, l := range w.relay.all(reset.LetterReset) {
			times = append(times, l.At)
		}
		inHour, inDay := 0, 0
		for _, at := range times {
			if at.Sub(start) < time.Hour {
				inHour++
			}
			if at.Sub(start) < 24*time.Hour {
				inDay++
			}
		}
		if inHour > 5+1 { // the links of the first five end within the hour
			t.Errorf("%d mails in an hour", inHour)
		}
		// Ten, and one more for each life of a link in which none lived.
		if inDay < 10 || inDay > 10+48 {
			t.Errorf("%d mails in a day", inDay)
		}
	})
}

// Whoever asks often for somebody else must not lock them out: without a live
// link there is one mail per life of a link.
func TestAskingOftenLocksNobodyOut(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for range 12 * 10 {
			w.ask("alice")
			time.Sleep(5 * time.Minute)
		}
		time.Sleep(31 * time.Minute)
		l := w.letter("alice")
		w.wantChange(token(l.Link), good, reset.StatusChanged)
	})
}

func TestAskingAgainLeavesTheOlderLinkAlive(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		first := w.letter("alice")
		for range 15 {
			time.Sleep(time.Minute + time.Second)
			w.ask("alice")
		}
		w.wantChange(token(first.Link), good, reset.StatusChanged)
		for _, l := range w.relay.all(reset.LetterReset) {
			w.wantDead(token(l.Link)) // a completed change ends them all
		}
	})
}

func TestRequestsPerAddress(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerIP = reset.DefaultPerIP() }, func(t *testing.T, w *world) {
		ask := func(ip string) error {
			_, err := w.site.Request(context.Background(), reset.Request{Login: "x", ClientIP: netip.MustParseAddr(ip)})
			return err
		}
		for n := range 20 {
			if err := ask("192.0.2.1"); err != nil {
				t.Fatalf("request %d: %v", n+1, err)
			}
		}
		var limited *reset.LimitError
		if err := ask("192.0.2.1"); !errors.As(err, &limited) || limited.RetryAfter <= 0 || limited.RetryAfter > time.Hour {
			t.Fatalf("request 21: %v", err)
		}
		if err := ask("::ffff:192.0.2.1"); !errors.As(err, &limited) {
			t.Error("the same address in IPv6 clothes is another one")
		}
		if err := ask("192.0.2.2"); err != nil {
			t.Errorf("another address: %v", err)
		}
		for n := range 20 {
			if err := ask(fmt.Sprintf("2001:db8::%d", n+1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := ask("2001:db8::ffff:1"); !errors.As(err, &limited) {
			t.Error("one /64 has more than one budget")
		}
		if err := ask("2001:db8:0:1::1"); err != nil {
			t.Errorf("another /64: %v", err)
		}
		// An address that is not known is no bucket that all would share.
		for range 100 {
			if _, err := w.site.Request(context.Background(), reset.Request{Login: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		// Reading a mail is not used up by asking.
		if _, err := w.site.Look(context.Background(), "x", netip.MustParseAddr("192.0.2.1")); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("look: %v", err)
		}
		time.Sleep(limited.RetryAfter)
		if err := ask("192.0.2.1"); err != nil {
			t.Errorf("after Retry-After: %v", err)
		}
	})
}

func TestWindowsThatCanNotBeKept(t *testing.T) {
	for _, w := range []reset.Window{{0, time.Hour}, {-1, time.Hour}, {1, 0}, {1, 25 * time.Hour}, {100, time.Second}} {
		if w.Check() == nil {
			t.Errorf("%d in %s is taken", w.N, w.Per)
		}
	}
	for _, w := range append(reset.DefaultPerAccount(), reset.DefaultPerIP(), reset.Window{N: 50, Per: time.Second}) {
		if err := w.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestLoginsThatAreNone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for _, login := range []string{"", "  ", strings.Repeat("a", 255), "a\x00b", "a\nb", "a\u2028b", "a\u0085b", "a\xffb", "\x1b[2J"} {
			if _, err := w.site.Request(context.Background(), reset.Request{Login: login}); !errors.Is(err, reset.ErrLogin) {
				t.Errorf("%q: %v", login, err)
			}
			if _, err := w.site.Code(context.Background(), reset.CodeEntry{Login: login, Code: "12345678"}); !errors.Is(err, reset.ErrLogin) {
				t.Errorf("code for %q: %v", login, err)
			}
		}
		w.ask(strings.Repeat("é", 254))
	})
}

// Only ASCII loses its case: the Kelvin sign is no k (CVE-2019-19844).
func TestLoginsAreFoldedInASCIIOnly(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.accounts["mike"] = []reset.Account{{ID: "9", Login: "mike", Email: "mike@example.com"}}
		l := w.letter("mike")
		if w.guess("mi\u212Ae", l.Code) {
			t.Error("the Kelvin sign was folded to k")
		}
		if !w.guess("MIKE", l.Code) {
			t.Error("ASCII case was not folded")
		}
	})
}

func TestWrongClockIssuesNothing(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.stop()
		w.startWith(func(c *reset.Config) { c.NotBefore = time.Now().Add(time.Hour) })
		if _, err := w.site.Request(context.Background(), reset.Request{Login: "alice"}); !errors.Is(err, reset.ErrUnavailable) {
			t.Errorf("request: %v", err)
		}
		time.Sleep(2 * time.Hour)
		w.letter("alice")
	})
}

// A client that has shown a dialect's credential may ask more often, and not
// without end: such a credential stands in every copy of an app.
func TestTrustedClientHasALargerLimit(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerIP = reset.Window{N: 2, Per: time.Hour} }, func(t *testing.T, w *world) {
		client := netip.MustParseAddr("192.0.2.1")
		asked := func(trusted bool) (n int) {
			for ; n < 1000; n++ {
				_, err := w.site.Request(t.Context(), reset.Request{Login: "nobody", ClientIP: client, Trusted: trusted})
				if _, often := errors.AsType[*reset.LimitError](err); often {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			return n
		}
		if strangers, trusted := asked(false), asked(true); strangers != 2 || trusted != 100 {
			t.Errorf("%d and %d requests are taken, want 2 and 100", strangers, trusted)
		}
		told := 0
		for range 200 {
			found, err := w.site.Find(t.Context(), reset.Request{Login: "nobody", ClientIP: client, Trusted: true})
			if err != nil {
				t.Fatal(err)
			}
			if found == reset.Nobody {
				told++
			}
		}
		if told != 100 {
			t.Errorf("told %d times, want 100", told)
		}
	})
}

// tooOften enters what is no code and reports whether the address may not.
func (w *world) tooOften(client netip.Addr, trusted bool) bool {
	_, err := w.site.Code(w.t.Context(), reset.CodeEntry{Login: "nobody", Code: "x", ClientIP: client, Trusted: trusted})
	_, often := errors.AsType[*reset.LimitError](err)
	return often
}

// The fastest limit that may be set is one for a trusted client too.
func TestFastLimitIsOneForATrustedClient(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerIP = reset.Window{N: 50, Per: time.Second} }, func(t *testing.T, w *world) {
		for range 10_000 {
			if w.tooOften(netip.MustParseAddr("192.0.2.1"), true) {
				return
			}
		}
		t.Error("no limit at all")
	})
}

// An attacker with many addresses is to use up the whole table before an
// address is forgotten.
func TestManyAddressesAreRemembered(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerIP = reset.Window{N: 1, Per: time.Hour} }, func(t *testing.T, w *world) {
		address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }
		const many = 24_000
		for n := range many {
			for range 3 {
				w.tooOften(address(n), false)
			}
		}
		limited := 0
		for n := range many {
			if w.tooOften(address(n), false) {
				limited++
			}
		}
		if limited < many*4/5 {
			t.Errorf("of %d addresses %d are remembered", many, limited)
		}
	})
}
