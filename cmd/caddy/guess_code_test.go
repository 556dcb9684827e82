package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// code returns the code of a mail.
func (w *world) code(m demo.Mail) string {
	w.t.Helper()
	code, err := m.Code()
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

// enter enters a code as somebody new.
func (w *world) enter(c *strangers, login, code string) reply {
	w.t.Helper()
	return w.do("POST", "/password-reset/code", `{"login":`+quoted(login)+`,"code":`+quoted(code)+`}`, c.visitor()...)
}

// Of a burst of guesses from as many addresses at most five are compared; the
// link lives on.
func TestTrialGuessCodesAtOnce(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "codes guessed in one burst")
	rng := tr.Rand(1)
	w := newWorld(t)
	w.employ(people(4), nil)
	w.mailsWithoutLimit()
	w.start()
	c := new(strangers)

	// Half of the guesses are right. The others are counted before an answer
	// is given, so that the right ones have no more luck than until the fifth
	// wrong one: some five of them, and not sixty in 10^15 runs. A comparison
	// outside the transaction that counts would let most of them through.
	const lucky = 60
	w.ask("person-0", c.visitor()...)
	m := w.mail("person-0@example.com", 1)
	right := w.code(m)
	guesses := make([]string, tr.Size(300, 1000))
	for i := range guesses {
		if guesses[i] = right; i%2 == 0 {
			guesses[i] = wrongCode(right)
		}
	}
	rng.Shuffle(len(guesses), func(i, j int) { guesses[i], guesses[j] = guesses[j], guesses[i] })
	var taken atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, guess := range guesses {
		visitor := c.visitor()
		wg.Go(func() {
			<-start
			r, err := w.try("POST", "/password-reset/code", `{"login":"person-0","code":"`+guess+`"}`, visitor...)
			if err != nil {
				t.Error(err)
			} else if r.Status == http.StatusOK {
				taken.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	tr.Runs(len(guesses))
	if n := taken.Load(); n > lucky {
		tr.Violation("%d right codes of %d guesses were taken", n, len(guesses))
	}
	if r := w.enter(c, "person-0", right); r.Status != http.StatusUnprocessableEntity {
		tr.Violation("the code survived the burst: %d", r.Status)
	}
	w.change(w.token(m), `"changed"`)
	tr.Figures(fmt.Sprintf("%d of %d right codes taken before five wrong ones were counted", taken.Load(), len(guesses)/2))
}

// Twenty wrong codes a day are compared, however many mails there are and
// however often the program is killed; then mails come without one, and links
// work.
func TestTrialGuessCodesForADay(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "codes guessed with every mail, through restarts")
	w := newWorld(t)
	w.employ(people(2), nil)
	w.mailsWithoutLimit()
	w.start()
	c := new(strangers)
	var last demo.Mail
	for n := 1; n <= 4; n++ {
		w.ask("person-0", c.visitor()...)
		last = w.mail("person-0@example.com", n)
		right := w.code(last)
		for i := range 5 {
			tr.Run()
			if i == 3 && n%2 == 0 {
				w.kill() // what was counted must have been stored before it was answered
				w.start()
			}
			// By each of the names of the account: they share its counters.
			login := []string{"person-0", "PERSON-0", "person-0@example.com"}[i%3]
			if r := w.enter(c, login, wrongCode(right)); r.Status != http.StatusUnprocessableEntity {
				tr.Violation("a wrong code is answered %d", r.Status)
			}
		}
		if r := w.enter(c, "person-0", right); r.Status != http.StatusUnprocessableEntity {
			tr.Violation("mail %d: the right code after five wrong ones is answered %d", n, r.Status)
		}
	}
	w.ask("person-0", c.visitor()...)
	m := w.mail("person-0@example.com", 5)
	if code, err := m.Code(); err == nil {
		tr.Violation("after twenty wrong codes there is a new one")
		if r := w.enter(c, "person-0", code); r.Status == http.StatusOK {
			tr.Violation("and it is taken")
		}
	}
	// Nobody else's are off, and no link has ended.
	w.ask("person-1", c.visitor()...)
	if r := w.enter(c, "person-1", w.code(w.mail("person-1@example.com", 1))); r.Status != http.StatusOK {
		tr.Violation("the code of somebody else is answered %d", r.Status)
	}
	w.opens(w.token(m))
	w.change(w.token(last), `"changed"`)
}

// A code is taken in the spellings that are documented, for its own login; all
// else gets the answer of a wrong one. Trying one code with many logins raises
// an alarm.
func TestTrialGuessCodesInAllSpellings(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "misspelt, foreign and sprayed codes")
	rng := tr.Rand(1)
	w := newWorld(t)
	w.employ(people(2), nil)
	w.mailsWithoutLimit()
	w.start()
	c := new(strangers)
	for i := range 2 {
		w.ask(fmt.Sprintf("person-%d", i), c.visitor()...)
	}
	right := w.code(w.mail("person-0@example.com", 1))
	others := w.code(w.mail("person-1@example.com", 1))
	refused := masked(w.enter(c, "nobody-0", "00000000"), "no-login-here")
	is := func(what string, r reply) {
		t.Helper()
		tr.Run()
		if got := masked(r, "no-login-here"); got != refused {
			tr.Violation("%s is told apart:\n%s\nin place of\n%s", what, got, refused)
		}
	}
	a, b := right[:4], right[4:]
	wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, right)
	arabic := strings.Map(func(r rune) rune { return r - '0' + '٠' }, right)
	for _, typed := range []string{
		wide, arabic, "+" + right, "-" + right + ".0", right + "e0", "0x" + right, "0" + right, right + "0", a, a + "." + b, a + "\u00a0" + b,
		a + "\t" + b, a + "\n" + b, right + "\x00", "", strings.Repeat(" ", 60) + right, right + "\u200b", `"` + right + `"`,
	} {
		is(fmt.Sprintf("the code as %q", typed), w.enter(c, "person-0", typed))
	}
	for _, body := range []string{
		`{"login":"person-0","code":` + strings.TrimLeft(right, "0") + `}`, `{"login":"person-0","code":["` + right + `"]}`, `{"login":"person-0","code":null}`,
		`{"login":"person-0","code":"` + right + `","code":"` + right + `"}`, `{"login":["person-0"],"code":"` + right + `"}`,
	} {
		tr.Run()
		if r := w.do("POST", "/password-reset/code", body, c.visitor()...); r.Status != http.StatusBadRequest {
			tr.Violation("%s is answered %d", strings.ReplaceAll(body, right, "CODE"), r.Status)
		}
	}
	for _, login := range []string{"person-1", "nobody-0", "person-0@example.org", "pers\u00f6n-0", "person-0\u200b"} {
		is("the code for "+login, w.enter(c, login, right))
	}
	is("another's code", w.enter(c, "person-0", others))

	// None of these but the last was compared, so that the code still works.
	for _, typed := range []string{right, a + " " + b, " " + a + "-" + b + " "} {
		tr.Run()
		if r := w.enter(c, "Person-0@example.com", typed); r.Status != http.StatusOK {
			tr.Violation("the code as %q is answered %d", strings.ReplaceAll(typed, right, "CODE"), r.Status)
		}
	}

	const alarm = "codes are being guessed over many logins"
	if strings.Contains(w.log.String(), alarm) {
		tr.Violation("the alarm comes too early")
	}
	var wg sync.WaitGroup
	for range 8 {
		first := rng.IntN(1 << 30)
		wg.Go(func() {
			for i := range tr.Size(70, 1250) {
				r, err := w.try("POST", "/password-reset/code", fmt.Sprintf(`{"login":"sprayed-%d","code":"00000000"}`, first+i), c.visitor()...)
				if err != nil {
					t.Error(err)
					return
				}
				is("a sprayed code", r)
			}
		})
	}
	wg.Wait()
	if !strings.Contains(w.log.String(), alarm) {
		tr.Violation("no alarm")
	}
}
