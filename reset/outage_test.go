package reset_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A failing store does not write as long as it is told to fail.
type failing struct {
	kv.Store
	fails atomic.Bool
}

func (s *failing) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if s.fails.Load() {
		return broken{s.Store}.Update(ctx, fn)
	}
	return s.Store.Update(ctx, fn)
}

// The app has refused, and that could not be stored: the change is tried again,
// so nobody may read that it has ended.
func TestOutcomeThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failing{Store: kvtest.Memory()}
		w := newWorld(t, store)
		w.sole = true
		w.start()
		l := w.letter("alice")
		w.app.say(func(reset.Change) *reset.Attempt {
			store.fails.Store(true)
			return &reset.Attempt{Verdict: reset.Refused}
		})
		w.wantChange(token(l.Link), good, reset.StatusPending)
		w.app.say(nil)
		store.fails.Store(false)
		w.until(time.Hour, "another attempt", func() bool { return w.app.password("42") == good })
	})
}

// unseen is a store whose answers are lost while it is told so: all that it is
// given is stored, and nobody knows.
type unseen struct {
	kv.Store
	lost atomic.Bool
}

func (s *unseen) Update(ctx context.Context, fn func(kv.Tx) error) error {
	err := s.Store.Update(ctx, fn)
	if s.lost.Load() {
		return fmt.Errorf("%w: the answer is lost", kv.ErrUnknown)
	}
	return err
}

// The app has refused, and nobody knows whether that was stored: who reads that
// the change is pending was promised a mail about its end.
func TestOutcomeThatIsStoredUnseen(t *testing.T) {
	for _, verdict := range []reset.Verdict{reset.Refused, reset.Gone, reset.Superseded} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.stop()
			store := &unseen{Store: w.store}
			w.store = store
			w.start()
			l := w.letter("alice")
			w.app.say(func(reset.Change) *reset.Attempt {
				store.lost.Store(true)
				return &reset.Attempt{Verdict: verdict}
			})
			w.wantChange(token(l.Link), good, reset.StatusPending)
			store.lost.Store(false)
			w.until(time.Minute, "the notice", func() bool {
				return w.relay.count(reset.LetterRefused)+w.relay.count(reset.LetterFailed) == 1
			})
			if n := w.app.attempts(); n != 1 {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

// fullDisk is a store that can be read and, while it is full, not written.
type fullDisk struct {
	kv.Store
	full  atomic.Bool
	tries atomic.Int64
}

func (d *fullDisk) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if !d.full.Load() {
		return d.Store.Update(ctx, fn)
	}
	d.tries.Add(1)
	time.Sleep(time.Millisecond)
	return fmt.Errorf("%w: no space left", kv.ErrUnknown)
}

// While the disk is full a job that is due stays due. It is not tried without
// end, and one alarm a minute says what is the matter, whatever fails for it.
func TestFullDisk(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.stop()
		disk := &fullDisk{Store: w.store}
		w.store = disk
		w.start()
		l := w.letter("alice")
		w.ask("bob")
		disk.full.Store(true)
		time.Sleep(30 * time.Second)
		if n := disk.tries.Load(); n < 25 || n > 35 {
			t.Errorf("a job was tried %d times in 30 seconds", n)
		}
		ctx := context.Background()
		_, asked := w.site.Request(ctx, reset.Request{Login: "alice"})
		_, guessed := w.site.Code(ctx, reset.CodeEntry{Login: "alice", Code: "00000000"})
		_, changed := w.site.Change(ctx, reset.NewPassword{Token: token(l.Link), Password: good})
		for _, err := range []error{asked, guessed, changed} {
			if !errors.Is(err, reset.ErrUnavailable) {
				t.Errorf("answered %v", err)
			}
		}
		if n := strings.Count(w.logText(), `"alarm":true`); n != 1 {
			t.Errorf("%d alarms:\n%s", n, w.logText())
		}
		disk.full.Store(false)
		w.until(3*time.Second, "bob's mail", func() bool { return w.relay.count(reset.LetterReset) == 2 })
		w.wantChange(token(l.Link), good, reset.StatusChanged)
	})
}

// slow is a store that takes its time and gives up when its caller does.
type slow struct{ kv.Store }

func (s slow) Update(ctx context.Context, fn func(kv.Tx) error) error {
	select {
	case <-time.After(500 * time.Millisecond):
		return s.Store.Update(ctx, fn)
	case <-ctx.Done():
		return errors.Join(kv.ErrUnknown, ctx.Err())
	}
}

// A browser that is closed cancels nothing.
func TestWhoHangsUpLeavesNothingInDoubt(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.stop()
		w.store = slow{w.store}
		w.start()
		hangUp := func() context.Context {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			t.Cleanup(cancel)
			return ctx
		}
		if _, err := w.site.Request(hangUp(), reset.Request{Login: "alice"}); err != nil {
			t.Fatalf("request: %v", err)
		}
		w.until(time.Minute, "the mail", func() bool { return w.relay.count(reset.LetterReset) == 1 })
		w.app.delay(3 * time.Second)
		r, err := w.site.Change(hangUp(), reset.NewPassword{Token: token(w.relay.last(reset.LetterReset).Link), Password: good})
		if err != nil || r.Status != reset.StatusPending {
			t.Fatalf("change: %+v, %v", r, err)
		}
		time.Sleep(5 * time.Second)
		if w.app.password("42") != good || w.app.attempts() != 1 {
			t.Errorf("the attempt did not outlive the browser: %d attempts", w.app.attempts())
		}
	})
}

// gone is a store that notices when its caller has gone.
type gone struct{ kv.Store }

func (s gone) View(ctx context.Context, fn func(kv.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Store.View(ctx, fn)
}

// A visitor who goes away is no fault of the store's.
func TestWhoHangsUpRaisesNoAlarm(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.stop()
		w.store = gone{w.store}
		w.start()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := w.site.Look(ctx, token(l.Link), client); !errors.Is(err, reset.ErrUnavailable) {
			t.Errorf("look: %v", err)
		}
		if strings.Contains(w.logText(), `"alarm":true`) {
			t.Errorf("alarm:\n%s", w.logText())
		}
	})
}

// panicky is a store that panics while it is told to.
type panicky struct {
	kv.Store
	on *atomic.Bool
}

func (p panicky) View(ctx context.Context, fn func(kv.Reader) error) error {
	if p.on.Load() {
		panic("damaged page " + good)
	}
	return p.Store.View(ctx, fn)
}

func (p panicky) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if p.on.Load() {
		panic("damaged page " + good)
	}
	return p.Store.Update(ctx, fn)
}

// A panic in any goroutine of ours would end the whole server.
func TestPanicsOfTheStoreEndNoWorker(t *testing.T) {
	for name, wait := range map[string]time.Duration{"in the queues": 5 * time.Second, "everywhere": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.stop()
				var on atomic.Bool
				w.store = panicky{w.store, &on}
				w.start()
				w.ask("alice")
				on.Store(true)
				time.Sleep(wait)
				on.Store(false)
				w.letter("alice")
				if strings.Contains(w.logText(), good) {
					t.Error("the value of a panic was logged")
				}
			})
		})
	}
}

// broken is a store that takes nothing.
type broken struct{ kv.Store }

func (broken) Update(context.Context, func(kv.Tx) error) error {
	return errors.Join(kv.ErrUnknown, errors.New("no space left on device"))
}

func TestNothingIsAcceptedThatIsNotStored(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.stop()
		inner := w.store
		w.store = broken{inner}
		w.start()
		ctx := context.Background()
		if _, err := w.site.Request(ctx, reset.Request{Login: "alice"}); !errors.Is(err, reset.ErrUnavailable) {
			t.Errorf("request: %v", err)
		}
		if _, err := w.site.Code(ctx, reset.CodeEntry{Login: "alice", Code: l.Code}); !errors.Is(err, reset.ErrUnavailable) {
			t.Errorf("code: %v", err)
		}
		if _, err := w.site.Change(ctx, reset.NewPassword{Token: token(l.Link), Password: good}); !errors.Is(err, reset.ErrUnavailable) {
			t.Errorf("change: %v", err)
		}
		if w.app.attempts() != 0 {
			t.Error("the app was called without a durable commit")
		}
		w.stop()
		w.store = inner
		w.start()
		w.wantChange(token(l.Link), good, reset.StatusChanged)
	})
}

// A program that dies on a full disk, and is off for days, owes the report of a
// change that was under way, whoever comes first when it is back: who sweeps
// up, or who sees that another process has let go of the change.
func TestOutageBeyondTheDeadline(t *testing.T) {
	for _, off := range []time.Duration{25*time.Hour + time.Minute, 20 * 24 * time.Hour} {
		inWorld(t, func(c *reset.SiteConfig) { c.AttemptTimeout = time.Minute }, func(t *testing.T, w *world) {
			w.stop()
			w.sole = false
			disk := &fullDisk{Store: w.store}
			w.store = disk
			w.start()
			l := w.letter("alice")
			w.app.say(func(reset.Change) *reset.Attempt {
				disk.full.Store(true)
				return &reset.Attempt{Verdict: reset.Retry}
			})
			w.wantChange(token(l.Link), good, reset.StatusPending)
			w.crash()
			time.Sleep(off)
			disk.full.Store(false)
			w.start()
			w.until(time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterFailed) == 1 })
		})
	}
}
