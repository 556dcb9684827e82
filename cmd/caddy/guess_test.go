package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// uses are all that can be done with a token: a GET and its POST have one
// answer for all that are dead.
var uses = []struct{ method, target, body string }{
	{"GET", "/password-reset/link/%s", ""},
	{"HEAD", "/password-reset/link/%s", ""},
	{"POST", "/password-reset/new", `{"token":"%s","password":"a guess of somebody else"}`},
	{"POST", "/password-reset/new", "token=%s&password=a+guess+of+somebody+else&password_repeat=a+guess+of+somebody+else"},
	{"POST", "/password-reset/new", `{"token":"%s","password":"short"}`},
	{"GET", "/password-reset/cancel/%s", ""},
	{"POST", "/password-reset/cancel/%s", "{}"},
}

// present shows a token, spelled for the place that it goes to, in one of the
// uses, and returns the answer without what differs between any two.
func (w *world) present(c *strangers, way int, spelled func(place string) string) (status int, answer string) {
	w.t.Helper()
	p := uses[way]
	place := "form"
	switch {
	case strings.Contains(p.target, "%s"):
		place = "path"
	case strings.HasPrefix(p.body, "{"):
		place = "json"
	}
	target, body := p.target, p.body
	if place == "path" {
		target = strings.Replace(target, "%s", spelled(place), 1)
	} else {
		body = strings.Replace(body, "%s", spelled(place), 1)
	}
	r := w.do(p.method, target, body, c.visitor()...)
	return r.Status, masked(r, "no-login-here")
}

// plainly spells a token as it stands in its mail.
func plainly(token string) func(string) string { return func(string) string { return token } }

// A token that is unknown, expired, used, cancelled, or of another site, in
// whatever spelling, gets one answer; no spelling but its own opens a token that
// lives; and mail scanners that open a link end nothing.
func TestTrialGuessTokens(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "guessed tokens and spellings of tokens")
	rng := tr.Rand(1)
	w := newWorld(t)
	w.employ(people(6), nil)
	other := w.secondSite("\t\tlink_ttl 2s")
	w.start()
	c := new(strangers)

	for i := range 4 {
		w.ask(fmt.Sprintf("person-%d", i), c.visitor()...)
	}
	live := w.token(w.mail("person-0@example.com", 1))
	used := w.token(w.mail("person-1@example.com", 1))
	w.change(used, `"changed"`)
	cancelling, err := w.mail("person-2@example.com", 1).CancelLink(w.Site + surface)
	if err != nil {
		t.Fatal(err)
	}
	cancelled := w.token(w.mail("person-2@example.com", 1))
	if r := w.do("POST", strings.TrimPrefix(cancelling, w.Site), "{}"); r.Status != http.StatusOK {
		t.Fatalf("cancelling: %d", r.Status)
	}
	closing := cancelling[strings.LastIndexByte(cancelling, '/')+1:]
	ending, err := w.mail("person-3@example.com", 1).CancelLink(w.Site + surface)
	if err != nil {
		t.Fatal(err)
	}
	ending = ending[strings.LastIndexByte(ending, '/')+1:]
	other.ask("person-4", c.visitor()...)
	foreign := other.token(w.mail("person-4@example.com", 1))

	unknown := guessed(rng, live)
	for way := range uses {
		status, dead := w.present(c, way, plainly(unknown))
		if status != http.StatusGone && !strings.Contains(uses[way].body, "short") {
			tr.Violation("%s %s with an unknown token: %d", uses[way].method, uses[way].target, status)
		}
		for what, token := range map[string]string{
			"used": used, "cancelled": cancelled, "cancel token that was used": closing, "of another site": foreign,
			"the right id and another verifier": live[:40] + unknown[40:], "another id and the right verifier": unknown[:10] + live[10:],
		} {
			tr.Run()
			if _, got := w.present(c, way, plainly(token)); got != dead {
				tr.Violation("%s %s tells a token that is %s:\n%s\nin place of\n%s", uses[way].method, uses[way].target, what, got, dead)
			}
		}
		// A token for one thing is none for the other.
		for what, token := range map[string]string{"link": live, "cancel": ending} {
			if strings.Contains(uses[way].target, "/cancel/") == (what == "cancel") {
				continue
			}
			tr.Run()
			if _, got := w.present(c, way, plainly(token)); strings.Contains(uses[way].target, "/cancel/") || what == "cancel" {
				if got != dead {
					tr.Violation("%s %s takes the token of a %s link:\n%s", uses[way].method, uses[way].target, what, got)
				}
			}
		}
	}

	// The same spelling of one that lives and of one that never was.
	for range tr.Size(25, 2000) {
		spell, how := misspelling(rng)
		way := rng.IntN(len(uses))
		_, alive := w.present(c, way, func(place string) string { return spell(live, place) })
		_, dead := w.present(c, way, func(place string) string { return spell(unknown, place) })
		tr.Run()
		if alive != dead {
			tr.Violation("%s %s with %s tells that a token lives:\n%s\nin place of\n%s", uses[way].method, uses[way].target, how, alive, dead)
		}
	}
	for range tr.Size(50, 20_000) {
		tr.Run()
		if status, _ := w.present(c, 2, plainly(guessed(rng, live))); status != http.StatusGone {
			tr.Violation("a guessed token is answered %d", status)
		}
	}

	expired := func() bool {
		return other.do("GET", "/password-reset/link/"+foreign, "", c.visitor()...).Status == http.StatusGone
	}
	other.until("the link expires", expired)
	for way := range uses {
		_, dead := other.present(c, way, plainly(unknown))
		tr.Run()
		if _, got := other.present(c, way, plainly(foreign)); got != dead {
			tr.Violation("%s %s tells an expired token:\n%s\nin place of\n%s", uses[way].method, uses[way].target, got, dead)
		}
	}

	for range 20 {
		for _, method := range []string{"GET", "HEAD"} {
			tr.Run()
			r := w.do(method, "/password-reset/link/"+live, "", append(c.visitor(), "User-Agent", "Mozilla/5.0 (scanner)", "Purpose", "prefetch")...)
			if r.Status != http.StatusOK {
				tr.Violation("a scanner's %s is answered %d", method, r.Status)
			}
		}
	}
	w.change(live, `"changed"`)
	for _, d := range w.App.Deliveries() {
		if d.Type == "password.changed" && d.Account != "2000" && d.Account != "2001" {
			tr.Violation("the password of %s was changed", d.Account)
		}
	}
}

// guessed returns a token that nobody has, of the form of another.
func guessed(rng *rand.Rand, like string) string {
	raw := make([]byte, base64.RawURLEncoding.DecodedLen(len(like)))
	for i := range raw {
		raw[i] = byte(rng.Uint32())
	}
	// Its first characters are the time, as they are in a real one.
	return like[:6] + base64.RawURLEncoding.EncodeToString(raw)[6:]
}

// misspelling returns a way to write a token that is not its own, and what it
// is called.
func misspelling(rng *rand.Rand) (spell func(token, place string) string, how string) {
	at := 8 + rng.IntN(50)
	in := func(replaced func(string) string) func(string, string) string {
		return func(token, place string) string {
			token = replaced(token)
			switch place {
			case "form":
				return url.QueryEscape(token)
			case "json":
				return strings.Trim(quoted(token), `"`)
			}
			return url.PathEscape(token)
		}
	}
	switch rng.IntN(13) {
	case 0:
		return in(func(s string) string { return s[:len(s)-1] }), "the last character missing"
	case 1:
		return in(func(s string) string { return s + "=" }), "padding"
	case 2:
		return in(func(s string) string { return s + "\x00" }), "a NUL"
	case 3:
		return in(strings.ToLower), "small letters"
	case 4:
		return in(func(s string) string { return s[:at] + "+" + s[at+1:] }), "a character of the other alphabet"
	case 5:
		return in(func(s string) string { return s + " " }), "a space behind"
	case 6:
		return in(func(s string) string { return " " + s }), "a space before"
	case 7:
		return in(func(s string) string { return s[:at] + "\n" + s[at:] }), "a line end within"
	case 8:
		return in(func(s string) string { return s[:at] + "%" + fmt.Sprintf("%02x", s[at]) + s[at+1:] }), "an escape within an escape"
	case 9:
		return in(func(s string) string { return s + s }), "it twice"
	case 10:
		return in(func(s string) string { return s[:at] }), "the end missing"
	case 11:
		return in(func(s string) string { return s[:at] + "\u200b" + s[at:] }), "an invisible character"
	}
	return in(func(s string) string {
		if s[len(s)-1] == 'A' {
			return s[:len(s)-1] + "B"
		}
		return s[:len(s)-1] + "A"
	}), "another last character"
}

// change sends a new password by a token, and holds what is answered.
func (w *world) change(token, want string) {
	w.t.Helper()
	r := w.do("POST", "/password-reset/new", `{"token":"`+token+`","password":"`+newPassword+`"}`)
	if !strings.Contains(r.Body, want) {
		w.t.Fatalf("the change was answered %d: %s", r.Status, r.Body)
	}
}
