package reset_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
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

// A change that comes while an older one is in flight waits for its end.
func TestNewerChangeWaitsForTheOneInFlight(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		first := w.letter("alice")
		time.Sleep(2 * time.Minute)
		second := w.letter("alice")
		w.app.delay(4 * time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			w.site.Change(context.Background(), reset.NewPassword{Token: token(first.Link), Password: good})
		})
		time.Sleep(time.Second)
		_, err := w.change(token(second.Link), "the second long password")
		if err != nil && !errors.Is(err, reset.ErrGrant) {
			t.Fatal(err) // ErrGrant: the first one had been stored late and ended all grants
		}
		wg.Wait()
		w.until(2*time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterChanged) > 0 })
		time.Sleep(time.Hour)
		if n := w.app.mostAtOnce(); n > 1 {
			t.Errorf("%d attempts at once", n)
		}
		if err == nil && w.app.password("42") != "the second long password" {
			t.Error("the newer change was accepted and is not the one that stands")
		}
	})
}

// A change that is replaced before it was tried uses its grant up: the newer
// one must not be undone by the older link.
func TestReplacedChangeUsesItsGrantUp(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		first := w.letter("alice")
		time.Sleep(2 * time.Minute)
		second := w.letter("alice")
		w.app.down()
		w.wantChange(token(first.Link), good, reset.StatusPending)
		time.Sleep(2 * time.Second)
		w.wantChange(token(second.Link), "the second long password", reset.StatusPending)
		w.wantDead(token(first.Link))
	})
}

// Of a change that was replaced while it is in flight nothing is kept but its
// name: whoever sends another password with its token must not be told what
// becomes of it.
func TestReplacedChangeInFlightAnswersNoOtherPassword(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		first := w.letter("alice")
		time.Sleep(2 * time.Minute)
		second := w.letter("alice")
		w.app.down()
		w.wantChange(token(first.Link), good, reset.StatusPending)
		w.app.say(nil)
		w.app.delay(4 * time.Second)
		w.until(time.Minute, "the second attempt", func() bool { return w.app.attempts() == 2 })
		w.wantChange(token(second.Link), "the second long password", reset.StatusPending)
		w.wantDead(token(first.Link))
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

// Invariant 6: the same rows of the same size are written for a login that
// exists, one that does not, one without an address, and one whose limits are
// used up.
func TestInvariantSameWorkForEveryLogin(t *testing.T) {
	sameWork(t, func(login string) reset.Request { return reset.Request{Login: login} })
}

// sameWork compares what requests for different logins make the store do.
func sameWork(t *testing.T, request func(login string) reset.Request) {
	t.Helper()
	work := func(prepare, login string) (updates [][]int) {
		inStore(t, func(t *testing.T, w *world, rec *recorder) {
			if prepare != "" {
				w.request(request(prepare))
				time.Sleep(10 * time.Second)
			}
			rec.reset()
			w.request(request(login))
			time.Sleep(10 * time.Second)
			w.site.Code(context.Background(), reset.CodeEntry{Login: login, Code: "12345678"})
			updates = rec.sizes()
		})
		return updates
	}
	hit := work("", "alice")
	if len(hit) != 5 { // request, lease, mint, finish, code
		t.Fatalf("%d updates for a hit: %v", len(hit), hit)
	}
	if miss := work("", "nobod"); !slices.EqualFunc(hit, miss, slices.Equal) {
		t.Errorf("hit  %v\nmiss %v", hit, miss)
	}
	if mailless := work("", "carol"); !slices.EqualFunc(hit, mailless, slices.Equal) {
		t.Errorf("hit        %v\nno address %v", hit, mailless)
	}
	again, limitedMiss := work("alice", "alice"), work("nobod", "nobod")
	if !slices.EqualFunc(again, limitedMiss, slices.Equal) {
		t.Errorf("limited hit  %v\nlimited miss %v", again, limitedMiss)
	}
	if mailless := work("carol", "carol"); !slices.EqualFunc(again, mailless, slices.Equal) {
		t.Errorf("limited hit        %v\nlimited no address %v", again, mailless)
	}
	// The account's own limit, where the typed login has not met its one.
	byAddress, missed := work("alice", "alice@example.com"), work("alice", "nobod@example.com")
	if !slices.EqualFunc(byAddress, missed, slices.Equal) {
		t.Errorf("account limited %v\nmiss            %v", byAddress, missed)
	}
}

// The rows of a login grow with its live codes, and must do so under every name
// that a mint writes, whether it is one or stands in for one.
func TestInvariantSameWorkForEveryMail(t *testing.T) {
	rows := func(login string) (updates [][]int) {
		inStore(t, func(t *testing.T, w *world, rec *recorder) {
			for range 5 {
				w.ask(login)
				time.Sleep(65 * time.Second)
			}
			updates = rec.sizes()
		})
		return updates
	}
	if hit, miss := rows("alice"), rows("nobod"); !slices.EqualFunc(hit, miss, slices.Equal) {
		t.Errorf("hit  %v\nmiss %v", hit, miss)
	}
}

// Rows are padded to steps. Whatever the length of what was typed and of a
// caller's words, nothing that is stored for a hit alone may take a row over
// the next step.
func TestInvariantSameWorkAtEveryLength(t *testing.T) {
	const step = 768
	long := reset.Account{ID: strings.Repeat("<", 128), Login: "alice", Email: "alice@example.com"}
	rows := func(r reset.Request, found ...reset.Account) (updates [][]int) {
		inStore(t, func(t *testing.T, w *world, rec *recorder) {
			w.dir.put(r.Login, found...)
			w.request(r)
			time.Sleep(10 * time.Second)
			updates = rec.sizes()
		})
		return updates
	}
	for n := 1; n < step/6; n += 2 { // six bytes each in a row
		r := reset.Request{Login: strings.Repeat("<", n)}
		if hit, miss := rows(r, long), rows(r); !slices.EqualFunc(hit, miss, slices.Equal) {
			t.Fatalf("login of %d\nhit  %v\nmiss %v", n, hit, miss)
		}
	}
	for n := 0; n < step*3/4; n += 12 { // sixteen bytes in base64
		r := reset.Request{Login: "x", Words: &reset.Words{Text: strings.Repeat("x", n)}}
		if hit, miss := rows(r, long), rows(r); !slices.EqualFunc(hit, miss, slices.Equal) {
			t.Fatalf("%d bytes of words\nhit  %v\nmiss %v", n, hit, miss)
		}
	}
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

// A recorder notes the size of each row that an update writes.
type recorder struct {
	kv.Store
	mu      sync.Mutex
	updates [][]int
}

// inStore is inWorld on a store that is recorded.
func inStore(t *testing.T, test func(t *testing.T, w *world, rec *recorder)) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.stop()
		rec := &recorder{Store: kvtest.Memory()}
		w.store = rec
		w.start()
		test(t, w, rec)
	})
}

func (r *recorder) Update(ctx context.Context, fn func(kv.Tx) error) error {
	var tx *recordingTx
	err := r.Store.Update(ctx, func(inner kv.Tx) error {
		tx = &recordingTx{Tx: inner}
		return fn(tx)
	})
	if tx != nil && err == nil {
		slices.Sort(tx.sizes)
		r.mu.Lock()
		r.updates = append(r.updates, tx.sizes)
		r.mu.Unlock()
	}
	return err
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updates = nil
}

func (r *recorder) sizes() [][]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.updates
}

type recordingTx struct {
	kv.Tx
	sizes []int
}

func (t *recordingTx) Put(key, value []byte) error {
	t.sizes = append(t.sizes, len(key)+len(value))
	return t.Tx.Put(key, value)
}

func (t *recordingTx) Delete(key []byte) error {
	t.sizes = append(t.sizes, -len(key))
	return t.Tx.Delete(key)
}
