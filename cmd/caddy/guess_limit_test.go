package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// asks asks for a mail and returns the answer; behind names the addresses that
// the proxies have written down.
func (w *world) asks(login, behind string) reply {
	w.t.Helper()
	return w.do("POST", "/password-reset", `{"login":`+quoted(login)+`}`, "X-Forwarded-For", behind)
}

// A client has one budget, whatever it writes into X-Forwarded-For and however
// many addresses of its /64 it uses (RFC 6177).
func TestTrialGuessAddresses(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "limits by address under invented addresses")
	random := func(rng *rand.Rand) string { return fmt.Sprintf("203.0.%d.%d", rng.IntN(256), rng.IntN(256)) }
	const budget = 20
	for i, tt := range []struct {
		name, proxies string
		behind        func(*rand.Rand) string
		another       string // of somebody else, who still may ask; "": there is nobody
	}{
		{"behind a proxy", "private_ranges", func(*rand.Rand) string { return "198.51.100.7" }, "198.51.100.8"},
		{"inventing hops before it", "private_ranges", func(rng *rand.Rand) string { return random(rng) + ", " + random(rng) + ", 198.51.100.9" }, "198.51.100.10"},
		{"a /64 of IPv6", "private_ranges", func(rng *rand.Rand) string {
			return fmt.Sprintf("2001:db8:1:2:%x:%x::%x", rng.IntN(1<<16), rng.IntN(1<<16), rng.IntN(1<<16))
		}, "2001:db8:1:3::1"},
		{"IPv4 in the clothes of IPv6", "private_ranges", func(rng *rand.Rand) string {
			return []string{"198.51.100.11", "::ffff:198.51.100.11", "::ffff:c633:640b"}[rng.IntN(3)]
		}, "::ffff:198.51.100.12"},
		{"no proxy that is trusted", "192.0.2.0/24", random, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rng := tr.Rand(uint64(i))
			w := newWorld(t)
			w.employ(people(1), nil)
			w.Env["RESET_PROXIES"] = tt.proxies
			w.start()
			for n := range budget {
				tr.Run()
				if r := w.asks("nobody-"+strconv.Itoa(n), tt.behind(rng)); r.Status != http.StatusAccepted {
					tr.Violation("request %d is answered %d", n+1, r.Status)
				}
			}
			var answers []string
			for _, login := range []string{"person-0", "nobody-0", "person-0@example.com"} {
				tr.Run()
				r := w.asks(login, tt.behind(rng))
				wait, err := strconv.Atoi(r.Header.Get("Retry-After"))
				if r.Status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 3600 {
					tr.Violation("beyond the limit: %d, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
				}
				answers = append(answers, masked(r, login))
			}
			if answers[0] != answers[1] || answers[0] != answers[2] {
				tr.Violation("the limit tells accounts apart:\n%s", strings.Join(answers, "\n"))
			}
			if tt.another != "" {
				tr.Run()
				if r := w.asks("nobody-0", tt.another); r.Status != http.StatusAccepted {
					tr.Violation("somebody else is answered %d", r.Status)
				}
			}
		})
	}
}

// Who is asked for from everywhere gets the mails that their limit allows, is
// told apart by no answer, and is locked out by nothing; a flood of logins that
// nobody has sends nothing to anybody and keeps nobody from their mail.
func TestTrialGuessFlood(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "mail bombing and a flood of logins")
	w := newWorld(t)
	w.employ(people(2), nil)
	// The account's limit is what is tried here, not the rate of all mails.
	w.amend("\tpassword_reset {\n\t\tsmtp", "\tpassword_reset {\n\t\tmails off\n\t\tsmtp")
	w.start()
	c := new(strangers)
	began := time.Now()
	w.ask("person-0", c.visitor()...)
	first := w.token(w.mail("person-0@example.com", 1))

	victims := []string{"person-0", "nobody-0", "PERSON-0", "person-0@example.com"}
	answers := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	bombs, floods := tr.Size(160, 1000), tr.Size(400, 20_000)
	say := func(login string) {
		r, err := w.try("POST", "/password-reset", `{"login":"`+login+`"}`, c.visitor()...)
		if err != nil {
			t.Error(err)
			return
		}
		tr.Run()
		mu.Lock()
		defer mu.Unlock()
		answers[masked(r, "no-login-here")]++
	}
	for i := range 8 {
		wg.Go(func() {
			for n := range bombs / 8 {
				say(victims[(n+i)%len(victims)])
			}
			for n := range floods / 8 {
				say(fmt.Sprintf("flood-%d-%d", i, n))
			}
		})
	}
	wg.Wait()
	if len(answers) != 1 {
		for a, n := range answers {
			tr.Violation("%d answers are\n%s", n, a)
		}
	}
	// Those who come after the flood are served, and with them all before.
	w.ask("person-1", c.visitor()...)
	w.mail("person-1@example.com", 1)
	w.until("the queue is empty", func() bool {
		return strings.Count(w.log.String(), "reset ended without a mail")+len(w.Inbox.Mails()) >= bombs+floods+2
	})
	got := w.received("person-0@example.com")
	if allowed := 1 + int(time.Since(began)/time.Minute); got > allowed {
		tr.Violation("%d mails came, %d are allowed", got, allowed)
	}
	if n := len(w.Inbox.Mails()) - got - 1; n != 0 {
		tr.Violation("%d mails to nobody", n)
	}
	w.change(first, `"changed"`)
	tr.Figures(fmt.Sprintf("%d mails for %d requests", got, bombs+1))
}
