package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// The oracle finds nothing where all went as it should, with crashes or
// without; and each of its checks finds what it is there for, once the story
// tells of something that has not been or leaves out what has.
func TestStory(t *testing.T) {
	t.Parallel()
	everybody := people(3)
	s := newStory(newWorld(t), everybody, nil)
	s.begin()
	for _, p := range everybody {
		if !s.requests(p) {
			t.Fatal("a request was not accepted")
		}
	}
	s.crash()
	s.begin()
	mails := make([]demo.Mail, len(everybody))
	for n, p := range everybody {
		mails[n] = s.mail(p.Email, 1)
	}
	password := freshPassword()
	if a := s.gives(everybody[0], s.token(mails[0]), password); a != changed {
		t.Error(a)
	}
	s.App.SetDown(true)
	if a := s.gives(everybody[1], s.token(mails[1]), freshPassword()); a != pending {
		t.Error(a)
	}
	s.App.SetDown(false)
	if !s.cancels(mails[2]) {
		t.Error("not cancelled")
	}
	s.crash()
	if a := s.gives(everybody[2], s.token(mails[2]), freshPassword()); a != untold {
		t.Error(a)
	}
	s.begin()
	if err := s.holds(); err != nil {
		t.Fatal(err)
	}

	// What is told from here on is a lie.
	alice, later := everybody[0], time.Now()
	promised := func(password string, a word) *proposal {
		return &proposal{token: "a token of nobody's", password: password, owner: alice, answer: a, began: later, ended: later}
	}
	handed := func(id, password string, status int, sequence int64) *handover {
		return &handover{id: id, account: alice.ID, password: password, reference: "NONE", status: status, told: later, sequence: sequence}
	}
	newest := later.Add(time.Hour).UnixMilli()
	for _, lie := range []struct {
		name  string
		tell  func()
		check func() []error
		want  string // in each finding
	}{
		{"a request that was never mailed", func() { s.asked = append(s.asked, asking{owner: alice, reference: "NONE"}) }, s.owed, "never mailed"},
		{"a promise that never arrived", func() { s.given = append(s.given, promised("x", pending)) }, s.owed, "never reached the app"},
		{"a change without an end", func() {
			s.given = append(s.given, promised("x", untold))
			s.attempts = append(s.attempts, handed("1", "x", http.StatusServiceUnavailable, 1))
		}, s.owed, "has no end"},
		{"a change without a notice", func() {
			s.given = append(s.given, promised("x", changed))
			s.attempts = append(s.attempts, handed("1", "x", http.StatusNoContent, 1))
		}, s.owed, "without a notice"},
		{"a refusal without a notice", func() {
			s.given = append(s.given, promised("x", pending))
			s.attempts = append(s.attempts, handed("1", "x", http.StatusUnprocessableEntity, 1))
		}, s.owed, "without a notice"},
		{"two changes by one grant", func() {
			s.given = append(s.given, promised("x", changed), promised("y", changed))
			s.attempts = append(s.attempts, handed("1", "x", http.StatusNoContent, newest), handed("2", "y", http.StatusNoContent, newest+1))
		}, s.outcomes, "one grant led to 2"},
		{"one password as two changes", func() {
			s.given = append(s.given, promised("x", changed))
			s.attempts = append(s.attempts, handed("1", "x", 0, newest), handed("2", "x", http.StatusNoContent, newest+1))
		}, s.outcomes, "handed over as 2"},
		{"a change that is not the same each time", func() {
			s.given = append(s.given, promised("x", changed))
			s.attempts = append(s.attempts, handed("1", "x", 0, newest), handed("1", "x", http.StatusNoContent, newest+1))
		}, s.outcomes, "not handed over the same"},
		{"a sequence that falls", func() {
			s.given = append(s.given, promised("x", changed))
			s.attempts = append(s.attempts, handed("1", "x", http.StatusConflict, 1))
		}, s.outcomes, "does not grow"},
		{"a mail too many", func() { s.again = -1 }, s.mails, "times, with -"},
		{"a mail to somebody else", func() {
			for n := range s.asked {
				s.asked[n].owner = everybody[n%2+1]
			}
		}, s.mails, "came to somebody else"},
		{"a password in the log", func() { fmt.Fprintln(s.log, password) }, s.leaks, "holds a password"},
	} {
		t.Run(lie.name, func(t *testing.T) {
			asked, given, attempts, again := append([]asking(nil), s.asked...), s.given, s.attempts, s.again
			defer func() { s.asked, s.given, s.attempts, s.again = asked, given, attempts, again }()
			if found := lie.check(); len(found) > 0 {
				t.Fatalf("before: %v", found)
			}
			lie.tell()
			found := lie.check()
			if len(found) == 0 {
				t.Error("not found")
			}
			for _, f := range found {
				if !strings.Contains(f.Error(), lie.want) {
					t.Errorf("%v, and not: %s", f, lie.want)
				}
			}
		})
	}
}

// Two attempts at once for one account are found, unless the first belongs to a
// program that has died.
func TestWitness(t *testing.T) {
	for _, dies := range []bool{false, true} {
		w, arrived, leave := new(witness), make(chan struct{}, 2), make(chan struct{})
		app := httptest.NewServer(w.wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			select {
			case <-leave:
			case <-r.Context().Done():
			}
		})))
		post := func(ctx context.Context) {
			r, err := http.NewRequestWithContext(ctx, "POST", app.URL+demo.ChangedPath, strings.NewReader(`{"data":{"account":{"id":"1"}}}`))
			if err != nil {
				t.Error(err)
				return
			}
			if r, err := http.DefaultTransport.RoundTrip(r); err == nil {
				r.Body.Close()
			}
		}
		first, die := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() { post(first) })
		<-arrived
		if dies {
			die()
		}
		both.Go(func() { post(t.Context()) })
		<-arrived
		close(leave)
		both.Wait()
		die()
		app.Close()
		if found := len(w.faults) > 0; found == dies {
			t.Errorf("the first program dies: %v; found: %v", dies, w.faults)
		}
	}
}
