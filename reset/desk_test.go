package reset_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func (w *world) revoke(login string) reset.Revocation {
	w.t.Helper()
	done, err := w.site.Revoke(context.Background(), login)
	if err != nil {
		w.t.Fatalf("revoking: %v", err)
	}
	return done
}

// wantNoChange holds that no change waits. A notice may, until it is mailed.
func (w *world) wantNoChange() {
	w.t.Helper()
	jobs, err := w.site.Waiting(context.Background(), 10)
	if err != nil || slices.ContainsFunc(jobs, func(j reset.WaitingJob) bool { return j.Kind != "notice" }) {
		w.t.Errorf("what waits is %+v, %v", jobs, err)
	}
}

// The help desk sends a mail to somebody who has used up all limits.
func TestSendPastTheLimits(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for range 20 {
			w.ask("alice")
			w.ask("alice@example.com")
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Second)
		had := w.relay.count(reset.LetterReset)
		reference, err := w.site.Send(context.Background(), " alice ")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if n := w.relay.count(reset.LetterReset); n != had+1 {
			t.Fatalf("%d mails, and %d before", n, had)
		}
		l := w.relay.last(reset.LetterReset)
		if l.Reference != reference {
			t.Errorf("the mail is of %s, not of %s", l.Reference, reference)
		}
		w.wantChange(token(l.Link), good, reset.StatusChanged)
		if _, err := w.site.Send(context.Background(), ""); !errors.Is(err, reset.ErrLogin) {
			t.Errorf("sending to nobody: %v", err)
		}
	})
}

// However often it is sent, the account's own links work on.
func TestSendAgainAndAgain(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for range 100 {
			if _, err := w.site.Send(context.Background(), "alice"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Second)
		}
		time.Sleep(time.Minute)
		if n := w.relay.count(reset.LetterReset); n < 10 || n > 40 {
			t.Errorf("%d mails", n)
		}
		w.wantChange(token(w.relay.last(reset.LetterReset).Link), good, reset.StatusChanged)
		if strings.Contains(w.logText(), `"alarm":true`) {
			t.Error("alarm")
		}
	})
}

// What the operator has revoked opens nothing, is not mailed and not handed over.
func TestRevokeEndsAllOfALogin(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		first := w.letter("alice")
		time.Sleep(2 * time.Minute)
		second := w.letter("alice@example.com")
		byCode := w.code("alice", second.Code)
		w.retry("revoking", func() error {
			_, err := w.site.Revoke(context.Background(), "alice")
			return err
		})
		time.Sleep(time.Minute) // mails that a hostile store has sent twice
		w.wantDead(token(first.Link))
		w.wantDead(token(second.Link))
		w.wantDead(byCode)
	})
}

func TestRevokeTellsWhatItHasEnded(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.letter("alice")
		time.Sleep(2 * time.Minute)
		l := w.letter("alice@example.com")
		if done := w.revoke("alice"); done != (reset.Revocation{Links: 2}) {
			t.Errorf("revoked %+v", done)
		}
		if w.guess("alice", l.Code) {
			t.Error("a revoked code is taken")
		}
		w.wantTrace("alice", "asked mailed revoked", "asked mailed revoked")
		if done := w.revoke("alice"); done != (reset.Revocation{}) {
			t.Errorf("revoked again %+v", done)
		}
	})
}

func TestRevokeAPendingChange(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.down()
		w.wantChange(token(l.Link), good, reset.StatusPending)
		time.Sleep(10 * time.Second)
		if done := w.revoke("alice"); done != (reset.Revocation{Changes: 1}) {
			t.Errorf("revoked %+v", done)
		}
		w.wantNoChange()
		w.app.say(nil)
		time.Sleep(3 * time.Hour)
		if w.app.changes() != 0 {
			t.Error("a revoked change was handed over")
		}
		if n := w.relay.count(reset.LetterFailed); n != 1 {
			t.Errorf("%d notices say that it was not", n)
		}
		w.wantDead(token(l.Link))
	})
}

func TestRevokeAMailThatWaits(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.relay.say(func(reset.Letter) reset.Delivery {
			return reset.Delivery{Status: reset.NotSent, Err: errors.New("451")}
		})
		w.ask("alice")
		time.Sleep(5 * time.Second)
		w.ask("alice@example.com") // has not been looked up
		if done := w.revoke("alice"); done.Mails != 1 {
			t.Errorf("revoked %+v", done)
		}
		if done := w.revoke("alice@example.com"); done.Mails != 1 {
			t.Errorf("revoked %+v", done)
		}
		w.relay.say(nil)
		time.Sleep(time.Hour)
		if n := w.relay.count(reset.LetterReset); n != 0 {
			t.Errorf("%d revoked mails were sent", n)
		}
		w.wantTrace("alice", "asked revoked")
	})
}

// An account may have been asked for by a name that it is not known by here.
func TestRevokeAsksTheDirectory(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dir.put("nickname", alice)
		l := w.letter("alice")
		w.dir.fail(errors.New("answer 502"))
		if done := w.revoke("nickname"); done.Unasked == nil || done.Links != 0 {
			t.Errorf("without the directory: %+v", done)
		}
		if done := w.revoke("alice"); done.Unasked == nil || done.Links != 1 {
			t.Errorf("what is known without the directory: %+v", done)
		}
		w.wantDead(token(l.Link))
		w.dir.fail(nil)
		time.Sleep(2 * time.Minute)
		l = w.letter("alice")
		if done := w.revoke("nickname"); done.Links != 1 {
			t.Errorf("with the directory: %+v", done)
		}
		w.wantDead(token(l.Link))
	})
}

// A mail that is tried early, while the queue is read, is dropped too.
func TestRevokeAMailThatMoves(t *testing.T) {
	var dir *slowDirectory
	set := func(c *reset.SiteConfig) {
		dir = &slowDirectory{directory: c.Directory.(*directory)}
		c.Directory = dir
	}
	synctest.Test(t, func(t *testing.T) {
		watched := &watchedStore{Store: kvtest.Memory()}
		w := newWorld(t, watched)
		w.tuning, w.sole = set, true
		w.start()
		w.dir.fail(errors.New("answer 502"))
		for n := range 1100 {
			w.ask(fmt.Sprintf("user%d", n))
		}
		time.Sleep(14 * time.Second)
		w.ask("alice")
		time.Sleep(5 * time.Second)
		all, err := w.site.Trace(context.Background(), "alice")
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		waiting, err := w.site.Waiting(context.Background(), 10_000)
		place := slices.IndexFunc(waiting, func(j reset.WaitingJob) bool { return j.Reference == all[0].Reference })
		if err != nil || place < 500 {
			t.Fatalf("alice's mail is number %d of those that wait (%v): the test tests nothing", place, err)
		}
		var looks atomic.Int32
		watched.then(func() {
			if looks.Add(1) == 2 { // the first looks for the records of the login
				watched.then(nil)
				dir.slow.Store(true)
				if err := w.services[0].RetryJob(context.Background(), waiting[place].ID); err != nil {
					t.Error(err)
				}
			}
		})
		if done := w.revoke("alice"); done.Mails != 1 {
			t.Errorf("revoked %+v", done)
		}
		w.dir.fail(nil)
		dir.slow.Store(false)
		time.Sleep(time.Hour)
		if n := w.relay.count(reset.LetterReset); n != 0 {
			t.Errorf("%d revoked mails were sent", n)
		}
	})
}

// A slowDirectory does not answer while it is slow.
type slowDirectory struct {
	*directory
	slow atomic.Bool
}

func (d *slowDirectory) Lookup(ctx context.Context, login string) ([]reset.Account, error) {
	if d.slow.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return d.directory.Lookup(ctx, login)
}

// A watchedStore calls what then has set when somebody has read.
type watchedStore struct {
	kv.Store
	mu    sync.Mutex
	after func()
}

func (s *watchedStore) then(after func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = after
}

func (s *watchedStore) View(ctx context.Context, fn func(kv.Reader) error) error {
	err := s.Store.View(ctx, fn)
	s.mu.Lock()
	after := s.after
	s.mu.Unlock()
	if after != nil {
		after()
	}
	return err
}

// unheard is a store whose answers to who writes are lost while it is told so.
type unheard struct {
	kv.Store
	lost atomic.Bool
}

func (s *unheard) Update(ctx context.Context, fn func(kv.Tx) error) error {
	wrote := false
	err := s.Store.Update(ctx, func(tx kv.Tx) error { return fn(putting{tx, &wrote}) })
	if wrote && s.lost.Load() {
		return fmt.Errorf("%w: the answer is lost", kv.ErrUnknown)
	}
	return err
}

// putting notes that something is put.
type putting struct {
	kv.Tx
	done *bool
}

func (p putting) Put(key, value []byte) error {
	*p.done = true
	return p.Tx.Put(key, value)
}

// What was stored though the answer was lost counts as done: in the result and for
// who observes.
func TestDeskWithALostAnswer(t *testing.T) {
	desk := map[string]struct {
		do    func(w *world)
		heard string
	}{
		"revoking": {func(w *world) {
			if done := w.revoke("alice"); done != (reset.Revocation{Links: 1, Changes: 1}) {
				w.t.Errorf("revoked %+v", done)
			}
		}, "revoked revoked"},
		"dropping a change": {func(w *world) {
			if err := w.services[0].DropJob(context.Background(), w.waiting("change").ID); err != nil {
				w.t.Error(err)
			}
		}, "revoked"},
	}
	for name, act := range desk {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.stop()
				store, ear := &unheard{Store: w.store}, &listener{}
				w.store = store
				w.startWith(func(c *reset.Config) { c.Observer = ear })
				l := w.letter("alice")
				w.app.down()
				w.wantChange(token(l.Link), good, reset.StatusPending)
				time.Sleep(2 * time.Minute)
				w.letter("alice@example.com")
				ear.take()
				store.lost.Store(true)
				time.AfterFunc(20*time.Millisecond, func() { store.lost.Store(false) })
				act.do(w)
				heard := strings.ReplaceAll(ear.take(), "lookup:found ", "")
				if heard != act.heard {
					t.Errorf("heard %q, want %q", heard, act.heard)
				}
				w.wantNoChange()
			})
		})
	}
}

// Codes that guessing has switched off are on again when the operator says so.
func TestRevokeSwitchesCodesOn(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		for range 4 {
			w.letter("alice")
			for range 5 {
				w.guess("alice", "00000000")
			}
		}
		if l := w.letter("alice"); l.Code != "" {
			t.Fatal("codes are on after twenty guesses: the test tests nothing")
		}
		w.revoke("alice")
		if l := w.letter("alice"); l.Code == "" || !w.guess("alice", l.Code) {
			t.Error("codes stay off")
		}
	})
}
