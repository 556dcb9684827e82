package main

import (
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// SIGTERM while the app holds the first attempt of a change: if the app answers
// within the grace period the person hears of it, and if it does not, or if
// nobody waits for the program to end, the change comes after the next start.
func TestTrialTermination(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "SIGTERM during the first attempt of a change")
	program := faultyCaddy(t)
	endings := []struct {
		name  string
		grace string
		act   func(s *story, answer func())
		told  word
	}{
		{"the app answers in time", "30s", func(s *story, answer func()) {
			syscall.Kill(-s.process.Process.Pid, syscall.SIGTERM)
			s.until("the program shuts down", s.leaving)
			answer()
			<-s.exited
		}, changed},
		{"the app does not answer", "1s", func(s *story, answer func()) { s.stop() }, untold},
		{"kill -9 before the grace period is over", "30s", func(s *story, answer func()) {
			syscall.Kill(-s.process.Process.Pid, syscall.SIGTERM)
			s.until("the program shuts down", s.leaving)
			s.kill()
		}, untold},
	}
	beside(t, len(endings), len(endings), func(t testing.TB, n int) {
		e := endings[n]
		h := newHold()
		s := newStory(newWorld(t), people(1), h.wrap)
		s.Binary = program
		s.amend("grace_period 30s", "grace_period "+e.grace)
		if !s.begin() {
			t.Fatalf("the program does not start:\n%s", s.log)
		}
		p := s.people[0]
		m, ok := newJourney(s, nil).asks(p)
		if !ok {
			t.Fatal("no mail came")
		}
		var answer word
		var visitor sync.WaitGroup
		visitor.Go(func() { answer = s.gives(p, s.token(m), freshPassword()) })
		<-h.reached
		s.leave()
		e.act(s, h.over)
		h.over()
		s.crashed()
		visitor.Wait()
		if answer != e.told && !(e.told == untold && answer == pending) {
			t.Errorf("the person was told %q, not %q:\n%s", answer, e.told, s.log)
		}
		if !s.begin() {
			t.Fatalf("the program does not start again:\n%s", s.log)
		}
		if err := s.holds(); err != nil {
			t.Error(err)
		}
		tr.Run()
	}, func(n int, why string) { tr.Violation("%s: %s", endings[n].name, why) })
}

// leaving reports whether the program has begun to end. It may take connections
// for a while: the apps of Caddy end one after another.
func (w *world) leaving() bool { return strings.Contains(w.log.String(), "shutting down apps") }

// A hold keeps the first change in the app until it is over.
type hold struct {
	reached, ended chan struct{}
	first, last    sync.Once
}

func newHold() *hold { return &hold{reached: make(chan struct{}), ended: make(chan struct{})} }

func (h *hold) over() { h.last.Do(func() { close(h.ended) }) }

func (h *hold) wrap(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == demo.ChangedPath {
			h.first.Do(func() {
				close(h.reached)
				<-h.ended
			})
		}
		app.ServeHTTP(w, r)
	})
}
