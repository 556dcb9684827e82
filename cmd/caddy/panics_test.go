package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// panicVariable says which planted panic comes, and at which hit of it.
const panicVariable = "PANIC_AT"

// plantedPanic is added to each package that a panic is planted in. Its value
// quotes what must be in no log.
const plantedPanic = `
import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

var plantedHits atomic.Int64

func planted(at, secret string) {
	name, hit, _ := strings.Cut(os.Getenv("` + panicVariable + `"), " ")
	if name == at && strconv.FormatInt(plantedHits.Add(1), 10) == hit {
		panic("planted, quoting " + secret)
	}
}
`

// panics are the panics that are planted: each before a line that stands in a
// file once.
var panics = []struct{ name, file, before, secret string }{
	{"asking", "reset/request.go", "\tif r.Login, err = cleanLogin(r.Login); err != nil {\n", "r.Login"},
	{"changing", "reset/change.go", "\tt, err := parseToken(n.Token)\n", "n.Token+n.Password"},
	{"closure", "reset/request.go", "\t\tqueued, err = s.place(tx, jobMail, j, now.Add(headStart))\n", "j.Login"},
	{"queue", "reset/worker.go", "\tif rest := q.resting(); rest > 0 {\n", `""`},
	{"worker", "reset/mailing.go", "\taccount, others, err := s.lookup(ctx, h)\n", "h.Login"},
	{"directory", "directory/webhook.go", "\tbody, err := json.Marshal(newAccountLookup(w.Site, login))\n", "login"},
	{"composer", "letters/composer.go", "\tto, err := reset.EnvelopeAddress(l.To.Email)\n", "l.To.Email"},
	{"mailer", "smtpout/client.go", "\tif _, ok := ctx.Deadline(); !ok {\n", `""`},
	{"target", "webhookout/target.go", "\t// The encoder would put U+FFFD for what is not UTF-8, and the app would\n", "c.Password"},
	{"app", "caddymodule/app.go", "\ta.log = a.counting(ctx.Slogger())\n", `""`},
	{"site", "caddymodule/handler.go", "\tloaded, err := ctx.AppIfConfigured(\"password_reset\")\n", `""`},
}

// loading are those that come while a configuration is loaded.
var loading = []string{"app", "site"}

// A panic anywhere on the way of a request or a job ends that attempt and
// nothing else: the program goes on with others, and with the job.
func TestTrialPanics(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "a panic on the way of a request or a job")
	program := faultyCaddy(t)
	var names []string
	for _, p := range panics {
		if !slices.Contains(loading, p.name) { // which nobody's way leads by
			names = append(names, p.name)
		}
	}
	beside(t, 3, len(names), func(t testing.TB, n int) {
		if err := panicked(t, program, names[n]); err != nil {
			t.Error(err)
		}
		tr.Run()
	}, func(n int, why string) { tr.Violation("%s: %s", names[n], why) })
}

// panicked has people go about their business while one panic comes.
func panicked(t testing.TB, program, name string) error {
	o := new(outage)
	s := newStory(newWorld(t), people(3), o.wrap)
	s.Binary, s.panics = program, true
	s.Env[panicVariable] = name + " 1"
	if !s.begin() {
		return fmt.Errorf("the program does not start:\n%s", s.log)
	}
	s.patience = 4 * time.Second
	newJourney(s, o).walk()
	s.patience = time.Minute
	o.over()
	var found []error
	if !s.requests(s.people[0]) {
		found = append(found, errors.New("the next request is not accepted"))
	}
	if s.wasKilled() {
		found = append(found, errors.New("the program was killed"))
	}
	if status, ok := s.process.ProcessState.Sys().(syscall.WaitStatus); !ok || status.ExitStatus() != 0 {
		found = append(found, fmt.Errorf("the program ended with %v", s.process.ProcessState))
	}
	if !strings.Contains(s.log.String(), "panic") {
		found = append(found, errors.New("the log has nothing of a panic: it has not come, or nobody hears of it"))
	}
	found = append(found, s.leaks()...)
	s.uncertain()

	s.log = new(logBuffer) // where a panic would be a fault again
	delete(s.Env, panicVariable)
	if !s.begin() {
		return errors.Join(append(found, errors.New("the program does not start again"))...)
	}
	return errors.Join(append(found, s.holds())...)
}

// A panic while a configuration is loaded is an error of that configuration: the
// program does not start with it, or stays with the one that it has.
func TestTrialPanicWhileLoading(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "a panic while a configuration is loaded")
	program := faultyCaddy(t)
	beside(t, len(loading), len(loading), func(t testing.TB, n int) {
		w := newWorld(t)
		w.Binary = program
		w.panicsInLoading(loading[n])
		tr.Run()
	}, func(n int, why string) { tr.Violation("%s: %s", loading[n], why) })
}

func (w *world) panicsInLoading(at string) {
	w.Env[panicVariable] = at + " 2"
	w.start()
	reload := func() error {
		out, err := w.caddy("reload", "--force", "--config", w.Caddyfile, "--adapter", "caddyfile")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := reload(); err == nil || !strings.Contains(err.Error(), "panic (string)") {
		w.t.Errorf("a reload that panics: %v", err)
	}
	if r := w.do("POST", surface, `{"login":"alice"}`); r.Status != http.StatusAccepted {
		w.t.Errorf("after a reload that panicked a request is answered %d", r.Status)
	}
	w.mail("alice@example.com", 1)
	if err := reload(); err != nil {
		w.t.Errorf("the reload after it: %v", err)
	}
	w.stop()

	w.Env[panicVariable] = at + " 1"
	w.launch()
	<-w.exited
	if w.process.ProcessState.Success() || !strings.Contains(w.log.String(), "panic (string)") {
		w.t.Errorf("a start that panics ended with %v", w.process.ProcessState)
	}
}
