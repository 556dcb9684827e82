package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A story is what visitors of a world have done and were answered, to be held
// against what the app and the inbox have seen. A test tells one through its
// methods, does to the program and its peers what it likes, makes all of them
// well again, and asks [story.holds].
//
// Its methods stand requests that stay without an answer and may be called from
// several goroutines at once; only one starts and ends the program.
type story struct {
	*world
	*witness
	people   []demo.Account
	patience time.Duration // how long it may take until nothing is owed to anybody

	panics bool // are planted, so that somebody may be answered 500

	mu        sync.Mutex
	again     int // how often a mail asked for at the start may come once more
	asked     []asking
	given     []*proposal
	cancelled map[string]bool // by grant: whether it is sure
	secrets   []string        // that were typed or given out, besides what mails hold
	up        chan struct{}   // closed when the test ends the program
}

// An asking is a request for a mail that was accepted.
type asking struct {
	owner     demo.Account
	reference string
	again     int // of the story, when it was made
}

// A proposal is a new password that somebody has sent.
type proposal struct {
	token, password string
	owner           demo.Account // of the account that the token is for
	answer          word
	began, ended    time.Time
}

// A word is what somebody who sent a password was told.
type word string

const (
	changed word = "changed"
	pending word = "pending"
	refused word = "refused" // by the rules or by the app
	stale   word = "stale"   // the token opens nothing, or nothing for this password
	untold  word = "untold"  // a fault of ours, or no answer at all
)

// newStory gives the world an app with these people, whose addresses are their
// logins at example.com, and turns limits off. wrap, if any, comes before the
// app and is a part of it for the story.
func newStory(w *world, people []demo.Account, wrap func(http.Handler) http.Handler) *story {
	w.t.Helper()
	s := &story{world: w, witness: new(witness), people: people, patience: time.Minute, cancelled: make(map[string]bool)}
	w.employ(people, func(app http.Handler) http.Handler {
		if wrap != nil {
			app = wrap(app)
		}
		return s.witness.wrap(app)
	})
	w.unlimited()
	return s
}

// begin runs the program and waits until it answers. It reports false if the
// program has ended by itself instead.
func (s *story) begin() bool { return s.beginsWith(http.StatusOK) }

// beginsWith is begin for a program whose form may be answered otherwise.
func (s *story) beginsWith(status ...int) bool {
	s.t.Helper()
	s.launch()
	exited, up := s.exited, make(chan struct{})
	ended := false
	s.until("the program answers", func() bool {
		select {
		case <-exited:
			ended = true
			return true
		default:
		}
		r, err := s.try("GET", surface, "")
		return err == nil && slices.Contains(status, r.Status)
	})
	if ended {
		s.crashed()
		return false
	}
	s.mu.Lock()
	s.up = up
	s.mu.Unlock()
	go s.watch(exited, up)
	return true
}

// crash ends the program as kill -9 does, if it still runs.
func (s *story) crash() {
	s.t.Helper()
	s.leave()
	s.kill()
	s.crashed()
}

// end ends the program as an operator does.
func (s *story) end() {
	s.t.Helper()
	s.leave()
	s.stop()
	s.died()
}

func (s *story) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up != nil {
		close(s.up)
		s.up = nil
	}
}

// crashed notes that the program has died: whatever was under way may come once
// more.
func (s *story) crashed() {
	s.died()
	s.uncertain()
}

// uncertain says that a mail may come once more than it should, because what
// became of it was not told.
func (s *story) uncertain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again++
}

// watch holds that the app's own pages are answered as long as the program
// runs.
func (s *story) watch(exited, up chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-up:
			return
		case <-exited:
			return
		case <-tick.C:
		}
		r, err := s.try("GET", demo.LoginPath, "")
		switch {
		case err != nil:
			select {
			case <-up:
			case <-exited:
			case <-time.After(time.Second): // a process that dies drops connections first
				s.fault(fmt.Errorf("the app's own page is not answered: %w", err))
			}
		case r.Status == http.StatusOK:
		case r.Status == http.StatusServiceUnavailable && strings.Contains(r.Body, "switched off"): // by the app
		default:
			s.fault(fmt.Errorf("the app's own page is answered %d", r.Status))
		}
	}
}

// requests asks for a mail and reports whether that was accepted.
func (s *story) requests(owner demo.Account) bool {
	r, err := s.try("POST", surface, `{"login":"`+owner.Login+`"}`)
	if err == nil {
		s.honest(r)
	}
	if err != nil || r.Status != http.StatusAccepted {
		return false
	}
	var body struct{ Reference string }
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil || body.Reference == "" {
		s.fault(fmt.Errorf("a request is accepted without a reference: %s", r.Body))
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, asking{owner, body.Reference, s.again})
	return true
}

// gives sends a new password.
func (s *story) gives(owner demo.Account, token, password string) word {
	g := &proposal{token: token, password: password, owner: owner, answer: untold, began: time.Now()}
	s.mu.Lock()
	s.given = append(s.given, g)
	s.mu.Unlock()
	r, err := s.try("POST", surface+"/new", `{"token":"`+token+`","password":"`+password+`"}`)
	a := untold
	if err == nil {
		s.honest(r)
		a = s.read(r)
	}
	if a == changed && !s.applied(password) {
		s.fault(fmt.Errorf("%q was answered before the app had taken the password", a))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.answer, g.ended = a, time.Now()
	return a
}

// honest holds that who is not served is told so, and when to come again.
func (s *story) honest(r reply) {
	if s.panics && r.Status == http.StatusInternalServerError {
		return
	}
	if r.Status >= 500 && (r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "") {
		s.fault(fmt.Errorf("a fault is answered %d, Retry-After %q", r.Status, r.Header.Get("Retry-After")))
	}
}

// read tells what an answer to a new password means.
func (s *story) read(r reply) word {
	var body struct{ Status any }
	err := json.Unmarshal([]byte(r.Body), &body)
	switch {
	case err != nil:
	case r.Status == http.StatusOK && body.Status == "changed":
		return changed
	case r.Status == http.StatusAccepted && body.Status == "pending":
		return pending
	case r.Status == http.StatusUnprocessableEntity:
		return refused
	case r.Status == http.StatusGone || r.Status == http.StatusConflict:
		return stale
	case r.Status >= 500:
		return untold
	}
	s.fault(fmt.Errorf("a new password is answered %d: %s", r.Status, r.Body))
	return untold
}

// enters types a code and returns the token that it is exchanged for, or ""
// and whether the code was refused.
func (s *story) enters(owner demo.Account, code string) (token string, wrong bool) {
	r, err := s.try("POST", surface+"/code", `{"login":"`+owner.Login+`","code":"`+code+`"}`)
	if err != nil {
		return "", false
	}
	s.honest(r)
	var body struct{ Token string }
	_ = json.Unmarshal([]byte(r.Body), &body)
	if r.Status == http.StatusOK && body.Token != "" {
		s.mu.Lock()
		s.secrets = append(s.secrets, body.Token)
		s.mu.Unlock()
		return body.Token, false
	}
	return "", r.Status == http.StatusUnprocessableEntity
}

// cancels says "this wasn't me" by the link in a mail.
func (s *story) cancels(m demo.Mail) bool {
	cancel, err := m.CancelLink(s.Site + surface)
	if err != nil {
		s.fault(err)
		return false
	}
	grant := grantOf(s.token(m))
	r, err := s.try("POST", strings.TrimPrefix(cancel, s.Site), "{}")
	if err == nil {
		s.honest(r)
	}
	sure := err == nil && r.Status == http.StatusOK
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelled[grant] = s.cancelled[grant] || sure
	return sure
}

// logsIn tries a password at the app's own page.
func (s *story) logsIn(owner demo.Account, password string) bool {
	form := url.Values{"login": {owner.Login}, "password": {password}}
	r, err := s.try("POST", demo.LoginPath, form.Encode())
	return err == nil && r.Status == http.StatusSeeOther
}
