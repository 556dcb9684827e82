package reset_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// Where only one process can have the store, a start is the end of whoever held
// a request back: its mail comes as soon as any other.
func TestRequestOutlivesWhoHeldItBack(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.ask("alice")
		w.stop()
		w.start()
		began := time.Now()
		w.until(10*time.Second, "the mail", func() bool { return w.relay.count(reset.LetterReset) > 0 })
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the mail came after %s", took)
		}
		time.Sleep(time.Minute)
		if n := w.relay.count(reset.LetterReset); n != 1 {
			t.Errorf("%d mails for one request", n)
		}
	})
}

// Of several processes on a store, the one that accepted a request mails it; if
// that one is no more, another does, some seconds later.
func TestRequestIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kvtest.Memory())
		w.tuning = func(c *reset.SiteConfig) { c.PerAccount = nil }
		other := w.start()
		for range 20 {
			first := w.start() // accepts
			w.ask("alice")
			first.Stop(t.Context())
			before := w.relay.count(reset.LetterReset)
			began := time.Now()
			w.until(10*time.Second, "the mail", func() bool { return w.relay.count(reset.LetterReset) > before })
			if took := time.Since(began); took < 2*time.Second {
				t.Errorf("taken over after %s, when whoever accepted it might still look it up", took)
			}
			time.Sleep(time.Minute)
		}
		if n, asked := w.relay.count(reset.LetterReset), w.dir.asked(); n != 20 || asked != 20 {
			t.Errorf("%d mails and %d look-ups for 20 requests", n, asked)
		}
		other.Stop(t.Context())
	})
}

// A mail that is tried again is not held up by requests that come faster than
// mails may leave.
func TestLineupHoldsUpNoRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kvtest.Memory())
		w.sole = true
		w.startWith(func(c *reset.Config) { c.Mails = rate.NewLimiter(2, 1) })
		w.relay.say(func(reset.Letter) reset.Delivery { return reset.Delivery{Status: reset.NotSent} })
		w.ask("bob")
		time.Sleep(5 * time.Second)
		w.relay.say(nil)
		for n := range 600 { // in two minutes
			w.ask(fmt.Sprint("nobody-", n))
			time.Sleep(200 * time.Millisecond)
		}
		if w.relay.count(reset.LetterReset) != 1 {
			t.Errorf("the mail was not tried again; log:\n%.2000s", w.logText())
		}
	})
}

// A reload must not let those wait who had their turn just then.
func TestReloadWhileMailsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kvtest.Memory())
		w.sole = true
		shared := reset.NewShared()
		first := w.startWith(func(c *reset.Config) {
			c.Shared, c.Mails = shared, rate.NewLimiter(rate.Every(time.Minute), 1)
		})
		w.ask("alice")
		w.ask("bob")
		time.Sleep(3 * time.Second)
		if n := w.relay.count(reset.LetterReset); n != 1 {
			t.Fatalf("%d mails have gone out, at one a minute", n)
		}
		w.startWith(func(c *reset.Config) { c.Shared = shared })
		time.Sleep(10 * time.Millisecond)
		first.Stop(t.Context())
		time.Sleep(time.Second)
		if n := w.relay.count(reset.LetterReset); n != 2 {
			t.Errorf("a second after a reload without that limit, %d mails of 2 have gone out", n)
		}
	})
}

// A newer change that finds an older one on its way has its turn when that ends.
func TestNewerChangeDoesNotWaitForTheNextLook(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		first, second := w.letter("alice"), w.letter("alice")
		w.app.down()
		w.wantChange(token(first.Link), "the first long password", reset.StatusPending)
		w.app.delay(4 * time.Second)
		w.until(time.Minute, "a worker to try again", func() bool { return w.app.attempts() >= 2 })
		w.app.say(nil)
		if _, err := w.change(token(second.Link), "the second long password"); err != nil {
			t.Fatal(err)
		}
		w.until(8*time.Second, "the newer change", func() bool { return w.app.password("42") == "the second long password" })
	})
}
