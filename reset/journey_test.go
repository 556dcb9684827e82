package reset_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const good = "correct horse battery staple"

func TestJourneyByLink(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		l := w.letter("Alice@Example.com"[:0] + "alice@example.com")
		if l.To.Email != alice.Email || len(l.Code) != 8 || l.Reference == "" || l.CancelLink == "" {
			t.Fatalf("letter lacks something: %+v", l)
		}
		g, err := w.site.Look(context.Background(), token(l.Link), client)
		if err != nil || g.MaskedLogin != "a•••" || g.Claimed {
			t.Fatalf("look: %+v, %v", g, err)
		}
		var weak *reset.PasswordError
		if _, err := w.change(token(l.Link), "short"); !errors.As(err, &weak) {
			t.Fatalf("weak password: %v", err)
		}
		w.app.delay(0)
		r, err := w.change(token(l.Link), good)
		if err != nil {
			t.Fatal(err)
		}
		w.until(10*time.Minute, "the change", func() bool { return w.app.password("42") == good })
		if r.Status != reset.StatusChanged && r.Status != reset.StatusPending {
			t.Fatalf("status %q", r.Status)
		}
		w.until(time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterChanged) > 0 })
		w.wantDead(token(l.Link))
	})
}

func TestJourneyByCode(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		l := w.letter("alice")
		// The code may be entered with the address as well, in any ASCII case.
		tok := w.code("ALICE@example.com", l.Code[:4]+" "+l.Code[4:])
		if _, err := w.change(tok, good); err != nil {
			t.Fatal(err)
		}
		w.until(10*time.Minute, "the change", func() bool { return w.app.password("42") == good })
		w.until(time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterChanged) > 0 })
		w.wantDead(token(l.Link))
		w.wantDead(tok)
	})
}

// code enters a code until the store answers.
func (w *world) code(login, code string) string {
	w.t.Helper()
	var tok string
	w.retry("entering a code", func() (err error) {
		tok, err = w.site.Code(context.Background(), reset.CodeEntry{Login: login, Code: code})
		return err
	})
	return tok
}

func TestEachAccountOfALoginGetsAMail(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.ask("family@example.com")
		w.until(time.Hour, "two letters", func() bool {
			to := map[string]bool{}
			for _, l := range w.relay.all(reset.LetterReset) {
				to[l.To.ID] = true
			}
			return to["71"] && to["72"]
		})
	})
}

func TestRefusedByTheAppLeavesTheTokenAlive(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.say(func(c reset.Change) *reset.Attempt {
			if c.Password != good {
				return &reset.Attempt{Verdict: reset.Refused, Detail: "need a digit"}
			}
			return nil
		})
		for range 3 {
			r, err := w.change(token(l.Link), "another long password")
			if err != nil || r.Status != reset.StatusRefused || r.Detail != "need a digit" {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		w.wantChange(token(l.Link), good, reset.StatusChanged)
		time.Sleep(time.Hour)
		if n := w.relay.count(reset.LetterRefused); n != 0 {
			t.Errorf("%d notices to somebody who was there", n)
		}
	})
}

func TestRefusalLeavesTenMinutes(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		time.Sleep(29 * time.Minute)
		w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Refused} })
		w.wantChange(token(l.Link), good, reset.StatusRefused)
		w.app.say(nil)
		time.Sleep(9 * time.Minute)
		w.wantChange(token(l.Link), good, reset.StatusChanged)
	})
}

func TestRefusalDoesNotProlongALinkBeyondADay(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.LinkTTL = reset.MaxLinkTTL }, func(t *testing.T, w *world) {
		l := w.letter("alice")
		time.Sleep(24*time.Hour - 5*time.Minute)
		w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Refused} })
		w.wantChange(token(l.Link), good, reset.StatusRefused)
		time.Sleep(6 * time.Minute)
		w.wantDead(token(l.Link))
	})
}

func TestTenRefusalsEndAGrant(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: reset.Refused} })
		for range 10 {
			w.wantChange(token(l.Link), good, reset.StatusRefused)
		}
		w.wantDead(token(l.Link))
	})
}

func TestAppDownMeansPendingThenOnce(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.down()
		w.wantChange(token(l.Link), good, reset.StatusPending)
		time.Sleep(10 * time.Minute)
		w.wantChange(token(l.Link), good, reset.StatusPending) // claimed, by this password
		w.wantDead(token(l.Link))                              // and no other
		w.app.say(nil)
		w.until(3*time.Hour, "delivery", func() bool { return w.app.password("42") == good })
		w.until(time.Hour, "the notice", func() bool { return w.relay.count(reset.LetterChanged) > 0 })
		if n := w.app.distinctIDs(); n != 1 {
			t.Errorf("%d webhook ids for one change", n)
		}
	})
}

func TestLinkAndCodeExpire(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		minted := time.Now() // the letter was composed within the last 200 ms
		time.Sleep(10*time.Minute + 6*time.Second - time.Since(minted))
		if _, err := w.site.Code(context.Background(), reset.CodeEntry{Login: "alice", Code: l.Code}); !errors.Is(err, reset.ErrCode) {
			t.Errorf("code after its end: %v", err)
		}
		if _, err := w.site.Look(context.Background(), token(l.Link), client); err != nil {
			t.Errorf("the link died with the code: %v", err)
		}
		time.Sleep(20 * time.Minute)
		if _, err := w.site.Look(context.Background(), token(l.Link), client); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("link after its end: %v", err)
		}
		w.wantDead(token(l.Link))
	})
}

func TestLookWritesNothing(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		before := w.dump()
		for range 20 {
			if _, err := w.site.Look(context.Background(), token(l.Link), client); err != nil {
				t.Fatal(err)
			}
			if err := w.site.LookCancel(context.Background(), token(l.CancelLink), client); err != nil {
				t.Fatal(err)
			}
		}
		if after := w.dump(); after != before {
			t.Error("looking at a link wrote to the store")
		}
		w.wantChange(token(l.Link), good, reset.StatusChanged)
	})
}

func TestCancelEndsTheGrantAndNothingElse(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		first := w.letter("alice")
		time.Sleep(2 * time.Minute)
		second := w.letter("alice")
		w.retry("cancelling", func() error {
			err := w.site.Cancel(context.Background(), token(first.CancelLink), client)
			if errors.Is(err, reset.ErrGrant) {
				return nil // an earlier try had been stored
			}
			return err
		})
		w.wantDead(token(first.Link))
		if err := w.site.LookCancel(context.Background(), token(second.Link), client); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("a link opens the cancel page: %v", err)
		}
		w.wantDead(token(second.CancelLink)) // good for nothing else
		if _, err := w.change(token(second.Link), good); err != nil {
			t.Errorf("the other link died too: %v", err)
		}
	})
}

func TestCancelDropsAChangeThatIsNotApplied(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		l := w.letter("alice")
		w.app.down()
		w.wantChange(token(l.Link), good, reset.StatusPending)
		if err := w.site.Cancel(context.Background(), token(l.CancelLink), client); err != nil {
			t.Fatal(err)
		}
		w.app.say(nil)
		time.Sleep(25 * time.Hour)
		if p := w.app.password("42"); p != "" {
			t.Errorf("a cancelled change was applied")
		}
	})
}

func TestFinalAnswersOfTheApp(t *testing.T) {
	tests := []struct {
		name    string
		verdict reset.Verdict
		want    reset.Status
	}{
		{"gone", reset.Gone, reset.StatusGone},
		{"superseded", reset.Superseded, reset.StatusSuperseded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				l := w.letter("alice")
				w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: tt.verdict} })
				w.wantChange(token(l.Link), good, tt.want)
				time.Sleep(25 * time.Hour)
				if w.app.attempts() != 1 {
					t.Errorf("%d attempts after a final answer", w.app.attempts())
				}
				if strings.Contains(w.dump(), good) {
					t.Error("the password is still stored")
				}
			})
		})
	}
}

func TestPersonWhoLeftIsToldByMail(t *testing.T) {
	tests := []struct {
		name    string
		verdict reset.Verdict
		want    reset.LetterKind
	}{
		{"applied", reset.Applied, reset.LetterChanged},
		{"refused", reset.Refused, reset.LetterRefused},
		{"gone", reset.Gone, reset.LetterFailed},
		{"superseded", reset.Superseded, reset.LetterFailed},
		{"never", reset.Retry, reset.LetterFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				l := w.letter("alice")
				w.app.down()
				w.wantChange(token(l.Link), good, reset.StatusPending)
				w.app.say(func(reset.Change) *reset.Attempt { return &reset.Attempt{Verdict: tt.verdict} })
				w.until(26*time.Hour, "the notice", func() bool { return w.relay.count(tt.want) > 0 })
				time.Sleep(time.Minute)
				if strings.Contains(w.dump(), good) {
					t.Error("the password is still stored after the end")
				}
			})
		})
	}
}
