package main

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A journey is what three people do at once, so that a program comes by all of
// its steps. Each gives up when the program has died.
type journey struct {
	*story
	outage *outage
	exited chan struct{}
}

func newJourney(s *story, o *outage) *journey {
	return &journey{story: s, outage: o, exited: s.exited}
}

// walk is all of it.
func (j *journey) walk() {
	var all sync.WaitGroup
	for n, way := range []func(demo.Account){j.byLink, j.byCode, j.notThem} {
		all.Go(func() { way(j.people[n]) })
	}
	all.Wait()
}

// begun leaves work behind: requests, and a change that the app does not take.
func (j *journey) begun() {
	p := j.people[1]
	m, ok := j.asks(p)
	if !ok {
		return
	}
	j.App.SetDown(true)
	j.gives(p, j.token(m), freshPassword())
	j.App.SetDown(false)
	for _, p := range j.people {
		j.requests(p)
	}
}

// byLink is the way of somebody whose first passwords are refused, by us and by
// the app, and who clicks twice.
func (j *journey) byLink(p demo.Account) {
	m, ok := j.asks(p)
	if !ok {
		return
	}
	token := j.token(m)
	_, _ = j.try("GET", surface+"/link/"+token, "")
	j.gives(p, token, p.Login+"-"+p.Login+"-2026")
	j.gives(p, token, "legacy "+freshPassword())
	password := freshPassword()
	var clicks sync.WaitGroup
	for range 2 {
		clicks.Go(func() { j.gives(p, token, password) })
	}
	clicks.Wait()
}

// byCode is the way of somebody who types it wrong, and then right while the
// app is away.
func (j *journey) byCode(p demo.Account) {
	m, ok := j.asks(p)
	if !ok {
		return
	}
	code, err := m.Code()
	if err != nil {
		j.fault(err)
		return
	}
	j.enters(p, wrongCode(code))
	token, _ := j.enters(p, code)
	if token == "" {
		return
	}
	j.outage.begin(p)
	password := freshPassword()
	j.gives(p, token, password)
	j.outage.end(p)
	j.comes(func() bool { return j.applied(password) })
}

// notThem is the way of somebody who cancels a mail, has a newer change replace
// an older one, and cancels a change that is on its way.
func (j *journey) notThem(p demo.Account) {
	if m, ok := j.asks(p); ok {
		j.cancels(m)
	}
	j.outage.begin(p)
	password := ""
	for range 2 {
		if m, ok := j.asks(p); ok {
			password = freshPassword()
			j.gives(p, j.token(m), password)
		}
	}
	j.outage.end(p)
	j.comes(func() bool { return j.applied(password) })
	m, ok := j.asks(p)
	if !ok {
		return
	}
	j.outage.begin(p)
	j.gives(p, j.token(m), freshPassword())
	j.cancels(m)
	j.outage.end(p)
}

// asks asks for a mail and waits for it.
func (j *journey) asks(p demo.Account) (m demo.Mail, ok bool) {
	if !j.requests(p) {
		return m, false
	}
	ok = j.comes(func() bool {
		m, ok = j.answered(p)
		return ok
	})
	return m, ok
}

// comes waits for something that is owed, as long as the program lives.
func (j *journey) comes(done func() bool) bool {
	deadline := time.Now().Add(j.patience)
	for !done() {
		select {
		case <-j.exited:
			return false
		case <-time.After(pollPeers):
		}
		if time.Now().After(deadline) {
			return false // what is owed and does not come is found by the oracle
		}
	}
	return true
}

// recovers waits until the program has done what an earlier one owes, or has
// died of it.
func (s *story) recovers() {
	j := newJourney(s, nil)
	j.comes(func() bool { return len(s.owed()) == 0 })
}

// freshPassword returns a password that nobody has had.
func freshPassword() string { return "a calm sea " + rand.Text()[:12] }

// An outage keeps the app from taking changes of some people.
type outage struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (o *outage) begin(p demo.Account) { o.set(p, true) }
func (o *outage) end(p demo.Account)   { o.set(p, false) }

func (o *outage) set(p demo.Account, away bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ids == nil {
		o.ids = make(map[string]bool)
	}
	o.ids[p.ID] = away
}

// over makes the app well for everybody.
func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ids = nil
}

func (o *outage) wrap(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == demo.ChangedPath {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // cut off before it was whole
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			o.mu.Lock()
			away := false
			for id := range o.ids {
				away = away || o.ids[id] && bytes.Contains(body, []byte(`"id":"`+id+`"`))
			}
			o.mu.Unlock()
			if away {
				http.Error(w, "The app is away.", http.StatusServiceUnavailable)
				return
			}
		}
		app.ServeHTTP(w, r)
	})
}
