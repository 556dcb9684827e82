package reset_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// Invariant 1: at most one accepted change per grant, and at most one attempt
// per account in flight, whatever the concurrency and the number of processes.
func TestInvariantOneChangePerGrant(t *testing.T) {
	onSharedStores(t, func(t *testing.T, w *world) {
		second := w.start() // as another process would
		sites := []*reset.Site{w.services[0].Site("app.example.com"), second.Site("app.example.com")}
		l := w.letter("alice")
		w.app.delay(3 * time.Second)

		var wg sync.WaitGroup
		for n := range 50 {
			wg.Go(func() {
				for range 20 {
					_, err := sites[n%2].Change(context.Background(), reset.NewPassword{
						Token: token(l.Link), Password: good + strings.Repeat("!", n),
					})
					if !errors.Is(err, reset.ErrUnavailable) {
						return
					}
					time.Sleep(time.Second)
				}
			})
		}
		wg.Wait()
		w.until(time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterChanged) > 0 })
		time.Sleep(5 * time.Minute)
		if n := w.app.changes(); n != 1 {
			t.Errorf("%d changes reached the app by one token", n)
		}
		if n := w.app.mostAtOnce(); n > 1 {
			t.Errorf("%d attempts at once for one account", n)
		}
	})
}

func TestInvariantOneAttemptPerAccount(t *testing.T) {
	onSharedStores(t, func(t *testing.T, w *world) {
		second := w.start()
		sites := []*reset.Site{w.services[0].Site("app.example.com"), second.Site("app.example.com")}
		links := []string{w.letter("alice").Link}
		for range 3 {
			time.Sleep(2 * time.Minute)
			links = append(links, w.letter("alice").Link)
		}
		w.app.delay(4 * time.Second)
		var attempts atomic.Int32
		w.app.say(func(reset.Change) *reset.Attempt {
			if attempts.Add(1)%3 == 0 {
				return &reset.Attempt{Verdict: reset.Retry, Err: errors.New("reset by peer")}
			}
			return nil
		})
		var wg sync.WaitGroup
		for n, link := range links {
			wg.Go(func() {
				for range 30 {
					_, err := sites[n%2].Change(context.Background(), reset.NewPassword{Token: token(link), Password: good})
					if !errors.Is(err, reset.ErrUnavailable) {
						return
					}
					time.Sleep(time.Second)
				}
			})
		}
		wg.Wait()
		w.until(24*time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterChanged) > 0 })
		if n := w.app.mostAtOnce(); n > 1 {
			t.Errorf("%d attempts at once for one account", n)
		}
	})
}

// Invariant 2: "changed" is said only after the app has said so.
func TestInvariantChangedOnlyAfterTheApp(t *testing.T) {
	told := []struct {
		v    reset.Verdict
		want reset.Status
	}{
		{reset.Refused, reset.StatusRefused},
		{reset.Gone, reset.StatusGone},
		{reset.Superseded, reset.StatusSuperseded},
		{reset.Applied, reset.StatusChanged},
		{reset.Retry, reset.StatusPending},
	}
	onEachStore(t, func(t *testing.T, w *world) {
		for _, tt := range told {
			v, want := tt.v, tt.want
			w.app.say(nil)
			time.Sleep(3 * time.Hour) // whatever was pending has been applied
			l := w.letter("alice")
			w.app.say(func(reset.Change) *reset.Attempt {
				if v == reset.Applied {
					return nil
				}
				return &reset.Attempt{Verdict: v}
			})
			before := w.app.changes()
			r, err := w.site.Change(context.Background(), reset.NewPassword{Token: token(l.Link), Password: good})
			if errors.Is(err, reset.ErrUnavailable) {
				continue // the hostile store did not take it
			}
			if err != nil {
				t.Fatal(err)
			}
			// An outcome that could not be stored is told as pending, but for
			// the app's own "applied".
			if r.Status != want && (r.Status != reset.StatusPending || v == reset.Applied) {
				t.Errorf("said %q after verdict %d, want %q", r.Status, v, want)
			}
			if r.Status == reset.StatusChanged && w.app.changes() == before {
				t.Errorf("said %q, and the app has applied nothing", r.Status)
			}
		}
	})
}

// Invariant 3: an accepted change is applied, refused or reported, never lost,
// and the newest wins.
func TestInvariantNoChangeIsLost(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.app.down()
		first := w.letter("alice")
		time.Sleep(2 * time.Minute)
		second := w.letter("alice")
		if _, err := w.change(token(first.Link), "the first long password"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := w.change(token(second.Link), "the second long password"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		w.app.say(nil)
		w.until(5*time.Hour, "the newest password", func() bool { return w.app.password("42") == "the second long password" })
		w.until(time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterChanged) > 0 })
		time.Sleep(3 * time.Hour)
		if p := w.app.password("42"); p != "the second long password" {
			t.Errorf("an older change was applied after a newer one: %q", p)
		}
	})
}

// Invariant 4: no fault burns a grant without a change journalled: as long as
// the store did not take the change, the same token works.
func TestInvariantAPersonCanTryAgain(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		l := w.letter("alice")
		for n := range 20 {
			r, err := w.site.Change(context.Background(), reset.NewPassword{Token: token(l.Link), Password: good})
			if err == nil {
				if r.Status != reset.StatusChanged && r.Status != reset.StatusPending {
					t.Fatalf("try %d: %+v", n, r)
				}
				break
			}
			if errors.Is(err, reset.ErrGrant) && w.app.password("42") == good {
				break // an earlier try had been stored after all
			}
			if !errors.Is(err, reset.ErrUnavailable) {
				t.Fatalf("try %d: %v", n, err)
			}
			if n == 19 {
				t.Fatal("the store never took it")
			}
			time.Sleep(20 * time.Second)
		}
		w.until(2*time.Hour, "the change", func() bool { return w.app.password("42") == good })
		if n := w.app.distinctIDs(); n != 1 {
			t.Errorf("%d changes for one grant", n)
		}
	})
}

// Invariant 5, as far as it is this package's: nothing secret in the log, and
// nothing readable about an account in a key.
func TestInvariantNothingSecretInTheLog(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		l := w.letter("alice@example.com")
		w.app.say(func(reset.Change) *reset.Attempt {
			return &reset.Attempt{Verdict: reset.Refused, Detail: "weird detail"}
		})
		w.change(token(l.Link), good)
		w.app.down()
		w.change(token(l.Link), good)
		w.site.Code(context.Background(), reset.CodeEntry{Login: "alice@example.com", Code: "00000000"})
		w.site.Cancel(context.Background(), token(l.CancelLink), client)
		time.Sleep(3 * time.Hour)
		text := w.logText()
		for _, secret := range []string{token(l.Link), token(l.CancelLink), l.Code, good, "alice", "Alice", "weird detail", client.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
		for _, row := range strings.Split(w.dump(), "\n") {
			key, _, _ := strings.Cut(row, " ")
			if strings.Contains(key, "616c696365") { // alice
				t.Errorf("a key holds the login: %s", key)
			}
		}
	})
}

// Invariant 8: after a crash every job continues.
func TestInvariantJobsContinueAfterACrash(t *testing.T) {
	for _, sole := range []bool{true, false} {
		name := map[bool]string{true: "embedded", false: "clustered"}[sole]
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.sole = sole
				crash := make(chan struct{})
				w.relay.say(func(reset.Letter) reset.Delivery {
					<-crash // the process dies in the middle of the mail
					return reset.Delivery{Status: reset.NotSent}
				})
				w.ask("alice")
				time.Sleep(5 * time.Second)
				w.crash()
				w.relay.say(nil)
				began := time.Now()
				w.start()
				w.until(time.Hour, "the mail after the crash", func() bool { return w.relay.count(reset.LetterReset) > 0 })
				took := time.Since(began)
				if sole && took > 10*time.Second {
					t.Errorf("an embedded store's job continued only after %s", took)
				}
				// Another process may have a clock that is behind: its lease must be
				// seen to stand still for its whole length, once it is due here.
				if !sole && took < 190*time.Second {
					t.Errorf("a lease of another process was taken after %s", took)
				}
				l := w.relay.last(reset.LetterReset)

				// The process dies between journalling a change and its delivery.
				w.app.say(func(reset.Change) *reset.Attempt {
					<-crash
					return &reset.Attempt{Verdict: reset.Retry}
				})
				w.wantChange(token(l.Link), good, reset.StatusPending)
				w.crash()
				w.app.say(nil)
				w.start()
				w.until(time.Hour, "the change after the crash", func() bool { return w.app.password("42") == good })
				if n := w.app.distinctIDs(); n != 1 {
					t.Errorf("%d webhook ids for one change", n)
				}
				w.stop()
				close(crash)
				time.Sleep(time.Hour)
				w.app.mu.Lock()
				defer w.app.mu.Unlock()
				if len(w.app.applied) != 1 {
					t.Errorf("%d changes", len(w.app.applied))
				}
			})
		})
	}
}

// crash abandons services: what they have begun stays blocked until its
// outcome means nothing any more.
func (w *world) crash() {
	for _, s := range w.services {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Stop(ctx)
	}
	w.services = nil
}
