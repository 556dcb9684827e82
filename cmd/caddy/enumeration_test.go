package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/auc"
	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

const (
	// measuredPairs make an interval of about ± 0.0105, so that one without
	// any difference leaves the bounds once in a million cells.
	measuredPairs = 10_000
	// crowdSize is how many logins have an account, and how many have none:
	// enough that most requests are the first for a login.
	crowdSize = 30_000
)

// forAsking is how many of each are asked for; codes are guessed for the others.
const forAsking = 20_000

// Bounds of what an interval may hold (OWASP WSTG-IDNT-04 asks that time tells
// nothing; no stopwatch can show exactly 0.5).
const lowestArea, highestArea = 0.47, 0.53

// Nobody can tell with a stopwatch whether a login has an account: not by the
// answer of any entry point that takes a login, not by an unrelated page right
// after it, and not by asking once more.
func TestMeasureEnumeration(t *testing.T) {
	trial.Alone(t)
	tr := trial.New(t, "enumeration by time: known against unknown")
	r := tr.Rand(1)
	c := newCrowd(t, r, crowdPlan{
		accounts: crowdSize, global: "mails off", site: openDialects + "limits {\nper_account off\nper_ip off\n}",
	})
	c.start()
	s := newStopwatch(c, tr, r)
	// Logins come again by chance: three of four are new in the first contest,
	// later ones few.
	logins := s.draw(c.Known[:forAsking], c.Unknown[:forAsking])
	for _, e := range []struct {
		name   string
		status int
		say    func(login string) phrase
	}{
		{"form", http.StatusSeeOther, formAsk},
		{"JSON", http.StatusAccepted, jsonAsk},
		{"catalyze", http.StatusOK, catalyzeStart},
		{"baasbox", http.StatusOK, openStart},
		{"buddy", http.StatusOK, buddyStart},
		{"payabli", http.StatusOK, payabliStart},
	} {
		s.judge(e.name, measuredPairs, e.status, e.say, logins)
	}
	s.codes(measuredPairs)
}

// codes judges the entry points that take a login with a code, by what there is
// to guess at: nothing, a live code, or one whose guesses are used up.
func (s *stopwatch) codes(pairs int) {
	const half = forAsking + (crowdSize-forAsking)/2
	known, unknown := s.crowd.Known[forAsking:half], s.crowd.Unknown[forAsking:half]
	s.judge("code, JSON, none live", pairs, http.StatusUnprocessableEntity, jsonCode, s.each(s.crowd.Known[half:], s.crowd.Unknown[half:]))
	s.mailed(known, unknown)
	// A code stands five guesses; each login is met twice, with two of them.
	live := s.each(known, unknown)
	s.judge("code, JSON, live", pairs, http.StatusUnprocessableEntity, jsonCode, live)
	s.judge("code, JSON, used up", pairs, http.StatusUnprocessableEntity, jsonCode, live)
	for _, e := range []struct {
		name   string
		status int
		say    func(login string) phrase
	}{
		{"code, form", http.StatusUnprocessableEntity, formCode},
		{"new, JSON", http.StatusUnprocessableEntity, jsonNew},
		{"buddy's code", http.StatusBadRequest, func(login string) phrase { return buddyFinish(login, guessedCode, newPassword) }},
	} {
		s.mailed(known, unknown)
		s.judge(e.name+", live", pairs, e.status, e.say, live)
	}
}

// Whether a limit was met tells nothing either: neither that of an account, to
// whoever asks for it, nor that of an address, to whoever has used it up.
func TestMeasureEnumerationWithLimits(t *testing.T) {
	trial.Alone(t)
	tr := trial.New(t, "enumeration by time: limits")
	r := tr.Rand(1)
	c := newCrowd(t, r, crowdPlan{accounts: crowdSize, global: "mails off"})
	c.start()
	s := newStopwatch(c, tr, r)
	const limited = crowdSize / 10
	// Within a minute nobody is mailed again.
	s.mailed(c.Known[:limited], c.Unknown[:limited])
	again := s.draw(c.Known[:limited], c.Unknown[:limited])
	s.judge("limit of the account", measuredPairs, http.StatusAccepted, jsonAsk, again)
	s.judge("limit of the account or not", measuredPairs, http.StatusAccepted, jsonAsk, s.draw(c.Known[:limited], c.Known[limited:]))

	s.visitor = func() []string { return []string{"X-Forwarded-For", "192.0.2.1"} }
	for i := 0; s.ask(jsonAsk(c.Unknown[0])) != http.StatusTooManyRequests; i++ {
		if i > 50 {
			t.Fatal("there is no limit by address")
		}
	}
	s.judge("limit of the address", measuredPairs, http.StatusTooManyRequests, jsonAsk, s.draw(c.Known, c.Unknown))
}

// The tests above find what they are there for.
func TestMeasureEnumerationFindsAPlant(t *testing.T) {
	trial.Alone(t)
	const spin = "for began := time.Now(); time.Since(began) < %s; {\n}\n"
	for _, tt := range []struct {
		name   string
		plant  edit
		status int
		say    func(login string) phrase
		column int
	}{
		{
			"lookup before the answer",
			edit{
				"reset/request.go", "\tif s.full(jobMail) {",
				"\tif found, _ := s.config.Directory.Lookup(ctx, login); len(found) > 0 {\n" + fmt.Sprintf(spin, "300*time.Microsecond") + "}\n\tif s.full(jobMail) {",
			},
			http.StatusAccepted, jsonAsk, columnAnswer,
		},
		{
			"work for an account at once",
			edit{
				"reset/request.go", "\ts.added(jobMail)\n",
				"\ts.added(jobMail)\n\tgo func() {\nif found, _ := s.config.Directory.Lookup(context.Background(), login); len(found) > 0 {\n" +
					"_ = s.svc.store.Update(context.Background(), func(kv.Tx) error {\n" + fmt.Sprintf(spin, "2*time.Millisecond") + "return nil\n})\n}\n}()\n",
			},
			http.StatusAccepted, jsonAsk, columnAgain,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := trial.New(t, "enumeration by time finds: "+tt.name)
			r := tr.Rand(1)
			c := newCrowd(t, r, crowdPlan{accounts: crowdSize / 10, global: "mails off", site: "limits {\nper_account off\nper_ip off\n}"})
			c.plant(tt.plant)
			c.start()
			s := newStopwatch(c, tr, r)
			areas := s.measure(measuredPairs/5, tt.status, tt.say, s.draw(c.Known, c.Unknown))
			tr.Figures(describe(tt.name, areas))
			if areas[tt.column].Within(lowestArea, highestArea) || !areas[tt.column].Tells() {
				tr.Violation("a difference that was planted is not seen: %s", describe(tt.name, areas))
			}
		})
	}
}

// A stopwatch times one visitor's requests, one after another on one connection:
// with more at once, each would measure the others.
type stopwatch struct {
	crowd   *crowd
	trial   *trial.Trial
	rand    *rand.Rand
	line    *keepalive
	visitor func() []string // headers of the next one
}

func newStopwatch(c *crowd, tr *trial.Trial, r *rand.Rand) *stopwatch {
	c.t.Helper()
	k, err := c.keepalive(c.Site)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(k.close)
	return &stopwatch{crowd: c, trial: tr, rand: r, line: k, visitor: new(strangers).visitor}
}

// loginPairs returns the logins of the next pair.
type loginPairs func() [2]string

// draw takes logins by chance, from the same place of both lists where they are
// of one length.
func (s *stopwatch) draw(a, b []string) loginPairs {
	return func() [2]string {
		n := s.rand.IntN(min(len(a), len(b)))
		return [2]string{a[n], b[n]}
	}
}

// each takes one login after the other.
func (s *stopwatch) each(a, b []string) loginPairs {
	n := -1
	return func() [2]string {
		n = (n + 1) % min(len(a), len(b))
		return [2]string{a[n], b[n]}
	}
}

// What is timed of each login: the answer, an unrelated page right after it, and
// the same request once more.
const (
	columnAnswer = iota
	columnNext
	columnAgain
	columns
)

// judge measures a contest and reports what can be told.
func (s *stopwatch) judge(name string, pairs, status int, say func(string) phrase, next loginPairs) {
	s.crowd.t.Helper()
	areas := s.measure(pairs, status, say, next)
	s.trial.Figures(describe(name, areas))
	s.crowd.t.Log(describe(name, areas))
	for _, a := range areas {
		if !a.Within(lowestArea, highestArea) {
			s.trial.Violation("the time tells: %s", describe(name, areas))
			return
		}
	}
}

// measure times pairs of requests that differ in their login alone. Which of a
// pair comes first is left to chance.
func (s *stopwatch) measure(pairs, status int, say func(string) phrase, next loginPairs) (areas [columns]auc.Area) {
	s.crowd.t.Helper()
	var took [columns][2][]time.Duration
	page := phrase{"GET", "/", nil, ""}.wire(s.crowd.Site)
	for range pairs {
		logins := next()
		first := s.rand.IntN(2)
		for _, side := range [2]int{first, 1 - first} {
			request := say(logins[side]).wire(s.crowd.Site, s.visitor()...)
			for column, step := range [columns]struct {
				request []byte
				status  int
			}{{request, status}, {page, http.StatusOK}, {request, status}} {
				got := s.send(step.request)
				if got.Status != step.status {
					s.crowd.t.Fatalf("answered %d and not %d: %s", got.Status, step.status, step.request)
				}
				took[column][side] = append(took[column][side], got.Took)
			}
		}
		s.trial.Run()
	}
	for column := range took {
		areas[column] = auc.Compare(took[column][0], took[column][1])
	}
	return areas
}

func (s *stopwatch) send(request []byte) reception {
	s.crowd.t.Helper()
	got, err := s.line.send(request)
	if err != nil {
		s.crowd.t.Fatal(err)
	}
	return got
}

// ask sends one request that nobody times and returns the status of its answer.
func (s *stopwatch) ask(c phrase) int {
	s.crowd.t.Helper()
	return s.send(c.wire(s.crowd.Site, s.visitor()...)).Status
}

// mailed asks for all logins and waits until those with an account have a mail,
// and until what was asked for last is done with, too.
func (s *stopwatch) mailed(known, unknown []string) {
	s.crowd.t.Helper()
	had := make([]int, len(known))
	for i := range known {
		had[i] = s.crowd.Relay.to(known[i])
		for _, login := range []string{known[i], unknown[i]} {
			if got := s.ask(jsonAsk(login)); got != http.StatusAccepted {
				s.crowd.t.Fatalf("asking was answered %d", got)
			}
		}
	}
	for i := range known {
		s.crowd.until("a mail has come", func() bool { return s.crowd.Relay.to(known[i]) > had[i] })
	}
}

func describe(name string, areas [columns]auc.Area) string {
	var parts []string
	for column, title := range []string{"answer", "next", "again"} {
		parts = append(parts, title+" "+areas[column].String())
	}
	return name + ": " + strings.Join(parts, ", ")
}
