package reset_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// The queue was read when the first attempt held its lease, which ends later
// than the time of the second.
func TestSecondAttemptIsInTime(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.down()
		w.wantChange(token(l.Link), good, reset.StatusPending)
		w.app.say(nil)
		w.until(7*time.Second, "the second attempt", func() bool { return w.app.password("42") == good })
	})
}

// Both halves of a double click are told the same, also when the second comes
// after the app has answered the first. It changes nothing, and only who knows
// token and password is told so.
func TestLateHalfOfADoubleClick(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		const password = "a long enough password"
		w.wantChange(token(l.Link), password, reset.StatusChanged)
		time.Sleep(9 * time.Second)
		w.wantChange(token(l.Link), password, reset.StatusChanged)
		if _, err := w.change(token(l.Link), password+"!"); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("another password: %v", err)
		}
		other := w.letter("bob")
		if _, err := w.change(token(l.CancelLink), password); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("the token that cancels: %v", err)
		}
		w.wantChange(token(other.Link), password, reset.StatusChanged)
		time.Sleep(2 * time.Second)
		w.wantDead(token(l.Link))
		if n := w.app.attempts(); n != 2 {
			t.Errorf("%d attempts, want one for each account", n)
		}
	})
}

// Two people with one token, who both were let in before either had claimed
// it: making a hash of the password takes that long.
func TestTwoAtOnceWithOneToken(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.Hasher = slowHasher{} }, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.delay(time.Second)
		var results [2]reset.Result
		var errs [2]error
		var wg sync.WaitGroup
		for n, password := range []string{"a long enough password", "another long password"} {
			wg.Go(func() {
				results[n], errs[n] = w.site.Change(context.Background(), reset.NewPassword{Token: token(l.Link), Password: password})
			})
		}
		wg.Wait()
		won := 0
		for n, err := range errs {
			switch {
			case err == nil && results[n].Status == reset.StatusChanged:
				won++
			case !errors.Is(err, reset.ErrGrant):
				t.Errorf("%+v, %v", results[n], err)
			}
		}
		if n := w.app.distinctIDs(); won != 1 || n != 1 {
			t.Errorf("%d were told that their password is set, and the app has seen %d changes", won, n)
		}
	})
}

type slowHasher struct{}

func (slowHasher) Format() string { return "slow" }

func (slowHasher) Hash(password string) (string, error) {
	time.Sleep(time.Second)
	return "hash of " + password, nil
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
