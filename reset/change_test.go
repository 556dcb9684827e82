package reset_test

import (
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
