package reset_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A listener writes down what an observer hears.
type listener struct {
	mu    sync.Mutex
	heard []string
	steps []reset.Event
}

func (l *listener) Step(e reset.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps = append(l.steps, e)
	l.heard = append(l.heard, string(e.Step))
}

func (l *listener) Called(_ string, c reset.Call, outcome string, _ time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, string(c)+":"+outcome)
}

func (l *listener) Limited(_ string, limit reset.Limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, "limit:"+string(limit))
}

// take returns what was heard since, in order.
func (l *listener) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	heard := strings.Join(l.heard, " ")
	l.heard = nil
	return heard
}

func TestObserverHearsOfEachStepOnce(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerIP = reset.Window{N: 1, Per: time.Hour} }, func(t *testing.T, w *world) {
		w.stop()
		ear := &listener{}
		w.startWith(func(c *reset.Config) { c.Observer = ear })
		ctx, client := context.Background(), netip.MustParseAddr("192.0.2.7")
		want := func(what, heard string) {
			t.Helper()
			if got := ear.take(); got != heard {
				t.Errorf("%s:\nheard %s\nwant  %s", what, got, heard)
			}
		}
		pause := func() { time.Sleep(10 * time.Second) }

		if _, err := w.site.Request(ctx, reset.Request{Login: "alice", ClientIP: client}); err != nil {
			t.Fatal(err)
		}
		pause()
		want("a mail", "asked lookup:found found mail:sent mailed")
		if _, err := w.site.Request(ctx, reset.Request{Login: "alice", ClientIP: client}); err == nil {
			t.Fatal("no limit")
		}
		want("a limit", "limit:ask")
		l := w.relay.last(reset.LetterReset)
		w.look(l.Link)
		w.look(l.Link)
		w.code("alice", l.Code)
		want("looking", "opened")
		w.app.down()
		w.wantChange(token(l.Link), good, reset.StatusPending)
		time.Sleep(2 * time.Minute)
		want("a change that waits", "accepted change:retry pending change:retry change:retry")
		w.app.say(nil)
		time.Sleep(10 * time.Minute)
		want("a change", "change:applied changed notice:sent")
		w.ask("nobody")
		pause()
		want("nobody", "asked lookup:unknown unknown")
		w.ask("nobody")
		pause()
		want("nobody again", "asked limited limit:login")
		w.ask("alice@example.com")
		pause()
		w.ask("alice")
		pause()
		want("an account's limit", "asked lookup:found found mail:sent mailed asked lookup:found limited limit:account")
		w.cancel(w.relay.last(reset.LetterReset).CancelLink)
		want("cancelling", "cancelled")
		w.relay.say(func(reset.Letter) reset.Delivery {
			return reset.Delivery{Status: reset.NotSent, Err: errors.New("answer 451")}
		})
		w.ask("bob")
		time.Sleep(45 * time.Second)
		want("a relay that says later", "asked lookup:found found mail:not_sent delayed lookup:found mail:not_sent delayed")
		w.revoke("bob")
		want("revoking", "lookup:found revoked")

		for _, e := range ear.steps {
			if e.Site != "app.example.com" || len(e.Reference) != 9 || e.At.IsZero() {
				t.Errorf("event %+v", e)
			}
		}
		if i := slices.IndexFunc(ear.steps, func(e reset.Event) bool { return e.Step == reset.StepDelayed }); ear.steps[i].Detail != "answer 451" {
			t.Errorf("the cause of a delay is %q", ear.steps[i].Detail)
		}
	})
}

// What the operator does leaves a line, and says that it was the operator; also
// where it ends what has no story, or only moves it.
func TestObserverHearsOfTheOperator(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.stop()
		ear := &listener{}
		w.startWith(func(c *reset.Config) { c.Observer = ear })
		ctx, svc := context.Background(), w.services[0]
		want := func(what string, steps ...string) {
			t.Helper()
			ear.mu.Lock()
			defer ear.mu.Unlock()
			var got []string
			for _, e := range ear.steps {
				if e.Site != "app.example.com" || len(e.Reference) != 9 || e.At.IsZero() {
					t.Errorf("%s: event %+v", what, e)
				}
				if e.Detail != "" {
					e.Step += reset.Step(" (" + e.Detail + ")")
				}
				got = append(got, string(e.Step))
			}
			if ear.steps = nil; !slices.Equal(got, steps) {
				t.Errorf("%s: heard %q, want %q", what, got, steps)
			}
		}
		away := func(reset.Letter) reset.Delivery {
			return reset.Delivery{Status: reset.NotSent, Err: errors.New("451")}
		}
		if _, err := w.site.Send(ctx, "alice"); err != nil {
			t.Fatal(err)
		}
		want("sending", "asked (by the operator)")
		time.Sleep(10 * time.Second)
		want("what becomes of it", "found", "mailed")
		w.ask("bob")
		want("a visitor", "asked")
		time.Sleep(10 * time.Second)
		want("what becomes of that", "found", "mailed")

		w.app.down()
		w.wantChange(token(w.relay.last(reset.LetterReset).Link), good, reset.StatusPending)
		time.Sleep(10 * time.Second)
		want("a change that waits", "accepted", "pending (503)")
		job := w.waiting("change").ID
		if err := svc.RetryJob(ctx, job); err != nil {
			t.Fatal(err)
		}
		want("trying it", "retried (change, by the operator)")
		time.Sleep(5 * time.Second)
		w.relay.say(away)
		if err := svc.DropJob(ctx, job); err != nil {
			t.Fatal(err)
		}
		want("dropping it", "revoked (by the operator)")
		time.Sleep(5 * time.Second)
		if err := svc.DropJob(ctx, w.waiting("notice").ID); err != nil {
			t.Fatal(err)
		}
		want("dropping its notice", "dropped (by the operator)")
		if err := svc.DropJob(ctx, job); !errors.Is(err, reset.ErrJob) {
			t.Errorf("dropping it again: %v", err)
		}
		want("dropping nothing")
	})
}
