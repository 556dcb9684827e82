package reset_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// find looks a login up and fails the test on an error.
func (w *world) find(login string) reset.Finding {
	w.t.Helper()
	f, err := w.site.Find(context.Background(), reset.Request{Login: login})
	if err != nil {
		w.t.Fatalf("finding %q: %v", login, err)
	}
	return f
}

// findSoon is find, and tells how long it took.
func (w *world) findSoon(login string) (reset.Finding, time.Duration) {
	w.t.Helper()
	began := time.Now()
	f := w.find(login)
	return f, time.Since(began)
}

func TestFindings(t *testing.T) {
	if unknown := reset.Finding(0); unknown != reset.Found {
		t.Error("what is not known is told")
	}
	inStore(t, func(t *testing.T, w *world, rec *recorder) {
		w.dir.put("half", reset.Account{ID: "1", Login: "half"}, bob)
		rec.reset()
		for login, want := range map[string]reset.Finding{
			"alice":     reset.Found,
			" alice\t ": reset.Found, // as a request for it is read
			"half":      reset.Found,
			"carol":     reset.NoAddress,
			"nobody":    reset.Nobody,
		} {
			if got := w.find(login); got != want {
				t.Errorf("%q: %d, want %d", login, got, want)
			}
		}
		for _, login := range []string{"", "a\x00b", "a\xffb", strings.Repeat("x", 255)} {
			if got, err := w.site.Find(context.Background(), reset.Request{Login: login}); got != reset.Found || !errors.Is(err, reset.ErrLogin) {
				t.Errorf("%q: %d, %v", login, got, err)
			}
		}
		w.dir.fail(errors.New("503"))
		for _, login := range []string{"carol", "nobody"} {
			if got := w.find(login); got != reset.Found {
				t.Errorf("%q, and nothing is known: %d", login, got)
			}
		}
		time.Sleep(time.Minute)
		if n := len(rec.sizes()); n != 0 {
			t.Errorf("%d updates", n)
		}
		if log := w.logText(); strings.Contains(log, "alice") || strings.Contains(log, "alarm") || w.relay.count(reset.LetterReset) != 0 {
			t.Errorf("looking up has left a trace:\n%s", log)
		}
	})
}

// A stuck is a directory that answers when it is told to.
type stuck struct {
	release     chan struct{}
	now, most   atomic.Int32
	afterwards  []reset.Account
	lookupsMade atomic.Int32
}

func (d *stuck) Lookup(ctx context.Context, _ string) ([]reset.Account, error) {
	d.lookupsMade.Add(1)
	n := d.now.Add(1)
	defer d.now.Add(-1)
	for {
		most := d.most.Load()
		if n <= most || d.most.CompareAndSwap(most, n) {
			break
		}
	}
	select {
	case <-d.release:
		return d.afterwards, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inStuckWorld is inWorld with a directory that does not answer.
func inStuckWorld(t *testing.T, test func(t *testing.T, w *world, d *stuck)) {
	d := &stuck{}
	inWorld(t, func(c *reset.SiteConfig) { c.Directory = d }, func(t *testing.T, w *world) {
		d.release = make(chan struct{}) // of the bubble
		test(t, w, d)
	})
}

func TestFindingTakesFiveSecondsAtMost(t *testing.T) {
	inStuckWorld(t, func(t *testing.T, w *world, _ *stuck) {
		if f, took := w.findSoon("nobody"); f != reset.Found || took != 5*time.Second {
			t.Errorf("%d after %s", f, took)
		}
	})
}

func TestFindingEndsWithItsCaller(t *testing.T) {
	inStuckWorld(t, func(t *testing.T, w *world, _ *stuck) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		if f, err := w.site.Find(ctx, reset.Request{Login: "nobody"}); f != reset.Found || err != nil || time.Since(began) != time.Second {
			t.Errorf("%d, %v after %s", f, err, time.Since(began))
		}
	})
}

// Lookups that people wait for must not take up the app, and whoever does not
// get a turn is told what everybody is.
func TestFindingsAtOnce(t *testing.T) {
	inStuckWorld(t, func(t *testing.T, w *world, d *stuck) {
		var wg sync.WaitGroup
		began := time.Now()
		for n := range 50 {
			wg.Go(func() {
				if f := w.find(fmt.Sprint("nobody", n)); f != reset.Found || time.Since(began) != 5*time.Second {
					t.Errorf("%d after %s", f, time.Since(began))
				}
			})
		}
		wg.Wait()
		if n := d.most.Load(); n != 8 {
			t.Errorf("%d lookups at once", n)
		}
		// Their places are free again, and a request that waits takes one.
		for range 8 {
			wg.Go(func() { w.find("nobody") })
		}
		synctest.Wait()
		wg.Go(func() {
			if f, took := w.findSoon("nobody"); f != reset.Nobody || took != time.Second {
				t.Errorf("who waited for a turn: %d after %s", f, took)
			}
		})
		time.Sleep(time.Second)
		close(d.release)
		wg.Wait()
	})
}

// Findings and the queue do not wait for each other.
func TestFindingsHoldUpNoMail(t *testing.T) {
	inStuckWorld(t, func(t *testing.T, w *world, d *stuck) {
		d.afterwards = []reset.Account{alice}
		for range 8 {
			go w.site.Find(context.Background(), reset.Request{Login: "nobody"})
		}
		w.ask("alice")
		time.Sleep(4 * time.Second)
		if n := d.now.Load(); n != 9 {
			t.Errorf("%d lookups, and none for the mail", n)
		}
		close(d.release)
		w.until(time.Minute, "the mail", func() bool { return w.relay.count(reset.LetterReset) == 1 })
	})
}

func TestMailDown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status reset.DeliveryStatus
		down   bool
	}{
		{"sent", reset.Sent, false},
		{"recipient refused", reset.Rejected, false},
		{"not sent", reset.NotSent, true},
		{"perhaps sent", reset.Unknown, true},
		{"wrong setting", reset.Misconfigured, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				if f := w.find("alice"); f != reset.Found {
					t.Errorf("before any mail: %d", f)
				}
				failures := make(chan time.Time, 10)
				w.relay.say(func(reset.Letter) reset.Delivery {
					failures <- time.Now()
					return reset.Delivery{Status: tt.status, Err: errors.New("421")}
				})
				w.ask("bob")
				time.Sleep(3 * time.Second)
				want := reset.Found
				if tt.down {
					want = reset.MailDown
				}
				// The one attempt that failed is what is known of all mails.
				for login, want := range map[string]reset.Finding{"alice": want, "bob": want, "carol": reset.NoAddress, "nobody": reset.Nobody} {
					if f := w.find(login); f != want {
						t.Errorf("%s: %d, want %d", login, f, want)
					}
				}
				if !tt.down {
					return
				}
				// The second attempt comes after 30 s, the third after two minutes more.
				<-failures
				failed := <-failures
				time.Sleep(time.Until(failed.Add(time.Minute - time.Millisecond)))
				if f := w.find("alice"); f != reset.MailDown {
					t.Errorf("just within a minute: %d", f)
				}
				time.Sleep(time.Millisecond)
				if f := w.find("alice"); f != reset.Found {
					t.Errorf("after a minute: %d", f)
				}
				if len(failures) > 0 {
					t.Fatal("the test tests nothing: there was another attempt")
				}
			})
		})
	}
}

func TestMailIsUpOnceOneIsSent(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.relay.say(func(l reset.Letter) reset.Delivery {
			if l.To.ID == bob.ID {
				return reset.Delivery{Status: reset.NotSent}
			}
			return reset.Delivery{Status: reset.Sent}
		})
		w.ask("bob")
		time.Sleep(3 * time.Second)
		if f := w.find("alice"); f != reset.MailDown {
			t.Fatalf("after a failure: %d", f)
		}
		w.ask("alice")
		time.Sleep(3 * time.Second)
		if f := w.find("bob"); f != reset.Found {
			t.Errorf("after a mail that was taken: %d", f)
		}
	})
}

// A reload must not make a relay that is down look as if it were up.
func TestMailDownOutlivesAReload(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.stop()
		shared := reset.NewShared()
		w.startWith(func(c *reset.Config) { c.Shared = shared })
		w.relay.say(func(reset.Letter) reset.Delivery { return reset.Delivery{Status: reset.NotSent} })
		w.ask("bob")
		time.Sleep(3 * time.Second)
		w.stop()
		w.startWith(func(c *reset.Config) { c.Shared = shared })
		if f := w.find("alice"); f != reset.MailDown {
			t.Errorf("after a reload: %d", f)
		}
	})
}
