package reset_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

type relay struct {
	mu      sync.Mutex
	letters []reset.Letter
	answer  func(reset.Letter) reset.Delivery // nil: takes everything
}

func (r *relay) Send(_ context.Context, m reset.Message) reset.Delivery {
	var l reset.Letter
	if err := json.Unmarshal(m.Data, &l); err != nil {
		panic(err)
	}
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	d := reset.Delivery{Status: reset.Sent}
	if answer != nil {
		d = answer(l)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.Status == reset.Sent || d.Status == reset.Unknown {
		r.letters = append(r.letters, l)
	}
	return d
}

func (r *relay) say(answer func(reset.Letter) reset.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *relay) all(k reset.LetterKind) (of []reset.Letter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.letters {
		if l.Kind == k {
			of = append(of, l)
		}
	}
	return of
}

func (r *relay) count(k reset.LetterKind) int { return len(r.all(k)) }

func (r *relay) last(k reset.LetterKind) reset.Letter {
	all := r.all(k)
	return all[len(all)-1]
}

// composer writes the letter itself as the mail, so that the relay can read it.
type composer struct{}

func (composer) Compose(l reset.Letter) (reset.Message, error) {
	b, err := json.Marshal(l)
	return reset.Message{From: "support@example.com", To: l.To.Email, Data: b}, err
}

// token takes the token out of a link as links below makes it.
func token(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

type links struct{}

func (links) Link(dialect, t string) string {
	if dialect != "" {
		return "https://app.example.com/" + dialect + "/" + t
	}
	return "https://app.example.com/password-reset/link/" + t
}

func (links) CancelLink(t string) string { return "https://app.example.com/password-reset/cancel/" + t }
func (links) AskLink() string            { return "https://app.example.com/password-reset" }

func TestRefusedLoginAtTheRelayIsNotHammered(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		var tries atomic.Int32
		w.relay.say(func(reset.Letter) reset.Delivery {
			tries.Add(1)
			return reset.Delivery{Status: reset.Misconfigured, Err: errors.New("535")}
		})
		for range 20 {
			w.ask("alice")
			time.Sleep(3 * time.Second)
		}
		if n := tries.Load(); n > 10 {
			t.Errorf("%d logins in a minute with a wrong password", n)
		}
	})
}

// With a hundred thousand mails in the queue, trying each would take the machine
// from the other sites for as long as the relay is away.
func TestRelayThatIsAwayIsLookedForSeldom(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		var tries atomic.Int32
		w.relay.say(func(reset.Letter) reset.Delivery {
			tries.Add(1)
			return reset.Delivery{Status: reset.Unreachable, Err: errors.New("refused")}
		})
		const asked = 800
		for n := range asked {
			w.ask(w.settle(n))
		}
		time.Sleep(3 * time.Minute)
		// After 1, 3, 7, 15, 31, 61, 91, 121, 151 and 181 s, by 32 workers.
		if n := tries.Load(); n < 8*32 || n > 11*32 {
			t.Errorf("a relay that is away was looked for %d times in three minutes", n)
		}
		w.relay.say(nil)
		time.Sleep(31 * time.Second)
		if n := w.relay.count(reset.LetterReset); n < asked-11*32 {
			t.Errorf("half a minute after it is back, the relay has %d mails of %d", n, asked)
		}
		time.Sleep(10 * time.Minute)
		if n := w.relay.count(reset.LetterReset); n != asked {
			t.Errorf("in the end the relay has %d mails of %d", n, asked)
		}
	})
}

// After an outage, logins that get no mail tell nothing about the relay, and must
// not keep those that get one waiting.
func TestUnknownLoginsAfterAnOutage(t *testing.T) {
	slow := func(c *reset.SiteConfig) { c.PerAccount, c.Directory = nil, slowly{c.Directory} }
	inWorld(t, slow, func(t *testing.T, w *world) {
		w.relay.say(func(reset.Letter) reset.Delivery {
			return reset.Delivery{Status: reset.Unreachable, Err: errors.New("refused")}
		})
		w.ask("bob")
		time.Sleep(3 * time.Second)
		w.relay.say(nil)
		for n := range 1000 {
			w.ask(fmt.Sprintf("nobody-%d", n))
		}
		w.ask("alice")
		time.Sleep(20 * time.Second)
		if w.relay.count(reset.LetterReset) == 0 {
			t.Error("a mail waits behind logins without an account")
		}
	})
}

// slowly is a directory that takes its time.
type slowly struct{ reset.Directory }

func (s slowly) Lookup(ctx context.Context, login string) ([]reset.Account, error) {
	time.Sleep(500 * time.Millisecond)
	return s.Directory.Lookup(ctx, login)
}

// settle gives somebody an account and returns their login.
func (w *world) settle(n int) string {
	login := fmt.Sprintf("inhabitant-%d", n)
	w.dir.put(login, reset.Account{ID: login, Login: login, Email: login + "@example.com"})
	return login
}

// A relay that limits our connections turns some of them away and takes mails over
// the others, whichever of them hear of it first.
func TestRelayWithFewConnectionsIsNotAway(t *testing.T) {
	const taken = 15 * time.Millisecond
	t.Run("turned away first", func(t *testing.T) { testFewConnections(t, 10*time.Millisecond, taken) })
	t.Run("turned away last", func(t *testing.T) { testFewConnections(t, 200*time.Millisecond, taken) })
}

func testFewConnections(t *testing.T, turnedAway, taken time.Duration) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		away := reset.Delivery{Status: reset.Unreachable, Err: errors.New("421")}
		w.relay.say(func(reset.Letter) reset.Delivery { return away })
		const asked = 600
		for n := range asked {
			w.ask(w.settle(n))
		}
		time.Sleep(3 * time.Second) // all are due, and few were tried
		var tried atomic.Int32
		w.relay.say(func(reset.Letter) reset.Delivery {
			if tried.Add(1)%2 == 1 {
				time.Sleep(turnedAway)
				return away
			}
			time.Sleep(taken)
			return reset.Delivery{Status: reset.Sent}
		})
		time.Sleep(4 * time.Second)
		if got := w.relay.count(reset.LetterReset); got < asked/3 {
			t.Errorf("%d mails of %d went over the connections that the relay takes", got, asked/2)
		}
	})
}

// Whoever can make a mail to themselves look like spam, or has a mailbox that
// refuses it, must not hold up the mails of others.
func TestUnwantedMailHoldsUpNoOther(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		w.relay.say(func(l reset.Letter) reset.Delivery {
			if l.To.ID == bob.ID {
				return reset.Delivery{Status: reset.Unwanted, Err: errors.New("554 5.7.1")}
			}
			return reset.Delivery{Status: reset.Sent}
		})
		for range 50 {
			w.ask("bob")
			time.Sleep(3 * time.Second)
		}
		asked := time.Now()
		w.letter("alice")
		if waited := time.Since(asked); waited > 5*time.Second {
			t.Errorf("a mail waits for %s behind those that the relay does not take", waited)
		}
	})
}

func TestRelayThatRefusesEverybodyRaisesAnAlarm(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerAccount = nil }, func(t *testing.T, w *world) {
		w.relay.say(func(reset.Letter) reset.Delivery {
			return reset.Delivery{Status: reset.Rejected, Err: errors.New("554")}
		})
		for n := range 5 {
			if strings.Contains(w.logText(), `"alarm":true`) {
				t.Fatalf("alarm after %d refusals", n)
			}
			w.ask("alice")
			time.Sleep(3 * time.Second)
		}
		if !strings.Contains(w.logText(), `"alarm":true`) {
			t.Error("no alarm")
		}
	})
}
