package reset_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	first  = "the first long password"
	second = "the second long password"
)

// submit sends a password in the background, as somebody else's browser would.
func (w *world) submit(link, password string) <-chan reset.Result {
	told := make(chan reset.Result, 1)
	go func() {
		r, err := w.change(token(link), password)
		if err != nil {
			w.t.Errorf("submitting: %v", err)
		}
		told <- r
	}()
	time.Sleep(100 * time.Millisecond)
	return told
}

func (w *world) cancel(link string) {
	w.t.Helper()
	if err := w.site.Cancel(context.Background(), token(link), client); err != nil {
		w.t.Fatalf("cancelling: %v", err)
	}
}

// Whoever holds a mail has both of its links. Using the second while a change
// by the first is in flight must not keep its owner from hearing of it, nor
// keep other links alive.
func TestCancellingAChangeInFlightSilencesNothing(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		other := w.letter("alice")
		time.Sleep(2 * time.Minute)
		l := w.letter("alice")
		w.app.delay(300 * time.Millisecond)
		told := w.submit(l.Link, first)
		w.cancel(l.CancelLink)
		<-told
		w.until(time.Minute, "the notice", func() bool { return w.relay.count(reset.LetterChanged) == 1 })
		w.wantDead(token(other.Link))
		if w.app.password("42") != first {
			t.Error("the test tests nothing")
		}
	})
}

func TestCancellingAChangeInFlightWithoutAnAnswerIsReported(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.delay(time.Second)
		w.app.down()
		told := w.submit(l.Link, first)
		w.cancel(l.CancelLink)
		<-told
		w.until(time.Minute, "the notice", func() bool { return w.relay.count(reset.LetterFailed) == 1 })
	})
}

func TestChangeInFlightCountsAlsoWhenTheNewerOneIsRefused(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l1 := w.letter("alice")
		time.Sleep(2 * time.Minute)
		l2 := w.letter("alice")
		time.Sleep(2 * time.Minute)
		l3 := w.letter("alice")
		w.app.delay(300 * time.Millisecond)
		w.app.say(func(c reset.Change) *reset.Attempt {
			if c.Password == second {
				return &reset.Attempt{Verdict: reset.Refused}
			}
			return nil
		})
		told := w.submit(l1.Link, first)
		w.wantChange(token(l2.Link), second, reset.StatusPending)
		if r := <-told; r.Status != reset.StatusChanged {
			t.Errorf("the first was told %q", r.Status)
		}
		w.until(10*time.Minute, "both notices", func() bool {
			return w.relay.count(reset.LetterChanged) == 1 && w.relay.count(reset.LetterRefused) == 1
		})
		w.wantDead(token(l2.Link))
		w.wantDead(token(l3.Link))
	})
}

// A change may wait for the app much longer than its link would have lived.
func TestPendingChangeCanBeCancelledToItsEnd(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.down()
		w.wantChange(token(l.Link), first, reset.StatusPending)
		time.Sleep(20 * time.Hour)
		w.wantChange(token(l.Link), first, reset.StatusPending)
		w.cancel(l.CancelLink)
		w.app.say(nil)
		time.Sleep(5 * time.Hour)
		if w.app.password("42") != "" {
			t.Error("a cancelled change was applied")
		}
	})
}

// The owner was told that a change would take effect; somebody else's took its
// place and came to nothing.
func TestReplacedChangeIsReportedWhenTheNewerOneComesToNothing(t *testing.T) {
	for name, end := range map[string]func(w *world, l reset.Letter){
		"cancelled": func(w *world, l reset.Letter) { w.cancel(l.CancelLink) },
		"refused": func(w *world, _ reset.Letter) {
			w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Refused} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				l1 := w.letter("alice")
				time.Sleep(2 * time.Minute)
				l2 := w.letter("alice")
				w.app.down()
				w.wantChange(token(l1.Link), first, reset.StatusPending)
				time.Sleep(10 * time.Second)
				w.wantChange(token(l2.Link), second, reset.StatusPending)
				time.Sleep(10 * time.Second)
				end(w, l2)
				w.until(3*time.Hour, "a notice", func() bool {
					return w.relay.count(reset.LetterFailed)+w.relay.count(reset.LetterRefused) > 0
				})
			})
		})
	}
}

// The same where the newer one came to nothing while its sender waited: the
// page tells them, and nobody else.
func TestReplacedChangeIsReportedBesideThePage(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l1 := w.letter("alice")
		time.Sleep(2 * time.Minute)
		l2 := w.letter("alice")
		w.app.down()
		w.wantChange(token(l1.Link), first, reset.StatusPending)
		w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Refused} })
		w.wantChange(token(l2.Link), second, reset.StatusRefused)
		w.until(time.Hour, "a notice", func() bool { return w.relay.count(reset.LetterRefused) > 0 })
	})
}

// Who sends another password with a token that is in use must not read that
// theirs was saved.
func TestAnotherPasswordIsNotTheOneThatWasChanged(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.delay(300 * time.Millisecond)
		told := w.submit(l.Link, first)
		w.wantDead(token(l.Link))                               // another password
		w.wantChange(token(l.Link), first, reset.StatusChanged) // a double click
		if r := <-told; r.Status != reset.StatusChanged {
			t.Errorf("told %q", r.Status)
		}
	})
}

func TestGrantGivenBackWhileReplacedIsKept(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l1 := w.letter("alice")
		time.Sleep(2 * time.Minute)
		l2 := w.letter("alice")
		time.Sleep(27*time.Minute + 50*time.Second) // the first link is about to end
		w.app.delay(300 * time.Millisecond)
		w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Refused} })
		told := w.submit(l1.Link, first)
		w.change(token(l2.Link), second)
		if r := <-told; r.Status != reset.StatusRefused {
			t.Fatalf("told %q", r.Status)
		}
		time.Sleep(5 * time.Minute)
		if _, err := w.site.Look(context.Background(), token(l1.Link), client); err != nil {
			t.Errorf("told to try again with the same link, and then: %v", err)
		}
	})
}

// Asking for somebody just before their last link ends must not put off the
// mail that they may have when it has ended.
func TestAskingBeforeALinkEndsLocksNobodyOut(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for range 12 { // uses the day's limits up
			w.ask("alice@example.com")
			w.ask("alice")
			time.Sleep(31 * time.Minute)
		}
		w.ask("alice@example.com")
		time.Sleep(29*time.Minute + 45*time.Second)
		w.ask("alice") // a link still lives: no mail
		time.Sleep(time.Minute)
		if _, err := w.site.Look(context.Background(), token(w.relay.last(reset.LetterReset).Link), client); !errors.Is(err, reset.ErrGrant) {
			t.Fatal("the test tests nothing: a link lives")
		}
		n := w.relay.count(reset.LetterReset)
		w.ask("alice")
		time.Sleep(10 * time.Second)
		if w.relay.count(reset.LetterReset) == n {
			t.Error("no mail for somebody without a live link")
		}
	})
}

// A clock that was years ahead, for one request only, must not lock anybody
// out when it is right again.
func TestClockThatWasAhead(t *testing.T) {
	store := kvtest.Memory()
	var early reset.Letter
	atClock(t, store, 10*365*24*time.Hour, func(w *world) {
		early = w.letter("alice")
		w.stop()
	})
	atClock(t, store, 0, func(w *world) {
		w.wantDead(token(early.Link))
		w.ask("alice")
		w.until(time.Minute, "a mail", func() bool { return w.relay.count(reset.LetterReset) == 1 })
	})
}

// What was accepted while the clock was ahead goes on when it is set right.
func TestJobsOfAClockThatWasAhead(t *testing.T) {
	for _, ahead := range []time.Duration{24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		store := kvtest.Memory()
		atClock(t, store, ahead, func(w *world) {
			w.app.down()
			w.wantChange(token(w.letter("alice").Link), good, reset.StatusPending)
			w.ask("bob")
			w.stop()
		})
		atClock(t, store, 0, func(w *world) {
			w.until(3*time.Hour, "the change", func() bool { return w.app.password("42") == good })
			if n := w.relay.count(reset.LetterReset); n != 1 {
				t.Errorf("%d mails of requests that were waiting", n)
			}
		})
	}
}

// atClock tests a service whose clock is ahead by offset, alone on a store.
func atClock(t *testing.T, store kv.Store, offset time.Duration, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store)
		w.sole = true
		time.Sleep(offset)
		w.start()
		test(w)
	})
}

// Whoever reads the store, and has the key, finds no link and no code in it.
func TestSecretsAreStoredAsHashes(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		second, err := w.site.Code(context.Background(), reset.CodeEntry{Login: "alice", Code: l.Code})
		if err != nil {
			t.Fatal(err)
		}
		rows := w.dump()
		stored := func(secret []byte) bool {
			return strings.Contains(rows, string(secret)) || strings.Contains(rows, base64.StdEncoding.EncodeToString(secret))
		}
		if stored([]byte(l.Code)) {
			t.Error("the store holds the code")
		}
		for name, text := range map[string]string{"link": token(l.Link), "cancel": token(l.CancelLink), "code": second} {
			raw, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			if verifier := raw[len(raw)-32:]; stored(verifier) || strings.Contains(rows, text) {
				t.Errorf("the store holds the token of the %s", name)
			}
		}
	})
}

// Whoever holds a link, or only knows which grant it is for, cannot end it as
// its owner could.
func TestCancelNeedsItsOwnToken(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		if err := w.site.Cancel(context.Background(), token(l.Link), client); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("cancelling with the token of the link: %v", err)
		}
		w.wantChange(token(l.Link), first, reset.StatusChanged)
	})
}

// What was asked for long ago, before the server was down for hours, would only
// surprise.
func TestNothingStaleIsMailed(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.ask("alice")
		w.stop()
		time.Sleep(61 * time.Minute)
		w.start()
		time.Sleep(10 * time.Minute)
		if n := w.relay.count(reset.LetterReset); n != 0 {
			t.Errorf("%d mails for a request of an hour ago", n)
		}
	})
}

// A password of the day before yesterday is not what its owner signs in with
// any more: after its deadline it is reported, and not tried.
func TestNothingStaleIsApplied(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.down()
		w.wantChange(token(l.Link), first, reset.StatusPending)
		w.stop()
		tried := w.app.attempts()
		time.Sleep(25 * time.Hour)
		w.start()
		w.until(time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterFailed) == 1 })
		if n := w.app.attempts() - tried; n != 0 {
			t.Errorf("%d attempts after the deadline", n)
		}
	})
}
