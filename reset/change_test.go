package reset_test

import (
	"errors"
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
