package reset_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// Two sites on one store are two: what a mail of one holds opens, ends and
// changes nothing at the other, where somebody else may have the same account
// id. A person who has account 42 of one app would otherwise set the password of
// account 42 of the other.
func TestTokenOfAnotherSite(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		other := &app{passwords: map[string]string{}, sequences: map[string]int64{}, applied: map[string]int{}, flying: map[string]int{}}
		w.stop()
		svc := w.startWith(func(c *reset.Config) {
			second := c.Sites[0]
			second.ID, second.Target = "other.example.com", other
			c.Sites = append(c.Sites, second)
		})
		foreign := svc.Site("other.example.com")
		l := w.letter("alice")
		second := w.code("alice", l.Code)
		ctx := context.Background()
		for what, tok := range map[string]string{"link": token(l.Link), "code": second} {
			if _, err := foreign.Look(ctx, tok, client); !errors.Is(err, reset.ErrGrant) {
				t.Errorf("%s: looking: %v", what, err)
			}
			if r, err := foreign.Change(ctx, reset.NewPassword{Token: tok, Password: good}); !errors.Is(err, reset.ErrGrant) {
				t.Errorf("%s: changing: %v, %v", what, r, err)
			}
		}
		if err := foreign.LookCancel(ctx, token(l.CancelLink), client); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("looking at the end: %v", err)
		}
		if err := foreign.Cancel(ctx, token(l.CancelLink), client); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("ending: %v", err)
		}
		if _, err := foreign.Code(ctx, reset.CodeEntry{Login: "alice", Code: l.Code}); !errors.Is(err, reset.ErrCode) {
			t.Errorf("code: %v", err)
		}
		w.wantChange(token(l.Link), good, reset.StatusChanged)
		if _, err := foreign.Change(ctx, reset.NewPassword{Token: token(l.Link), Password: good}); !errors.Is(err, reset.ErrGrant) {
			t.Errorf("the second half of a double click at the other site: %v", err)
		}
		time.Sleep(time.Hour)
		if other.attempts() > 0 {
			t.Error("a change reached the app of the other site")
		}
	})
}

// Two sites share the mails that may leave and are fair to each other: whoever asks
// at one does not wait until the thousands have their mail who asked at the other.
func TestSitesShareMailsFairly(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		w.stop()
		quiet := &relay{}
		svc := w.startWith(func(c *reset.Config) {
			c.Mails = rate.NewLimiter(50, 1)
			second := c.Sites[0]
			second.ID, second.Mailer = "quiet.example.com", quiet
			c.Sites = append(c.Sites, second)
		})
		const flood = 5000
		for n := range flood {
			w.ask(w.settle(n))
		}
		time.Sleep(10 * time.Second)
		const asked = 100
		for n := range asked {
			if _, err := svc.Site("quiet.example.com").Request(t.Context(), reset.Request{Login: w.settle(n)}); err != nil {
				t.Fatal(err)
			}
		}
		// What one of them has under way comes first, and then every second mail.
		time.Sleep(2*time.Second + (32+2*asked)*time.Second/50)
		if n := quiet.count(reset.LetterReset); n != asked {
			t.Errorf("%d of %d mails of the quiet site have left", n, asked)
		}
		if n := w.relay.count(reset.LetterReset); n < 500 || n >= flood {
			t.Errorf("%d of %d mails of the busy site have left", n, flood)
		}
	})
}
