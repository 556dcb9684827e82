package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A promise is what somebody knows from a moment on.
type promise struct {
	moment instant
	after  time.Time        // ports are used again: an earlier answer is another one
	login  string           // as it was typed
	owed   reset.LetterKind // what must still be mailed; "" for nothing
	live   string           // token that must open something
	dead   string           // token that must open nothing, or its own change
	wrong  int              // so many wrong codes are counted
	code   string           // the right one
}

// what names a promise by what was known and what it says.
func (p *promise) what() string {
	says := "nothing owed"
	switch {
	case p.owed != "":
		says = "mail owed"
	case p.live != "":
		says = "token works"
	case p.wrong > 0:
		says = "wrong codes count"
	case p.dead != "":
		says = "token is used"
	}
	return p.moment.kind() + ", " + says
}

// A breach is a promise that did not outlive the power.
type breach struct {
	promise promise
	torn    bool
	err     error
}

func (b breach) String() string {
	state := "without what was not synced"
	if b.torn {
		state = "with some sectors of what was not synced"
	}
	return fmt.Sprintf("%s, %s, %s: %v", b.promise.moment, b.promise.login, state, b.err)
}

// Passwords that the app does not take: not this one, and not now.
const (
	refusedPassword = "refused as it was had before"
	delayedPassword = "delayed as the app is down"
)

// A promisee is a visitor with limits of their own.
type promisee struct {
	*cuts
	login string
	from  []string
}

func (c *cuts) person(number int, login string) *promisee {
	return &promisee{cuts: c, login: login, from: from(number)}
}

// promised notes what an answer has promised. A letter that came before this
// is noted, as the n-th mail, is owed no more.
func (p *promisee) promised(r reply, what promise, n int) {
	p.t.Helper()
	what.moment, what.after, what.login = answerTo(r.Port), r.Began, p.login
	if what.owed != "" && p.received(strings.TrimSuffix(p.login, "@example.com")+"@example.com") >= n {
		what.owed = ""
	}
	p.keep(what)
}

func (p *promisee) asks(method, target, body string, status int) {
	p.t.Helper()
	r := p.do(method, target, body, p.from...)
	if r.Status != status {
		p.complain("%s asks and is answered %d: %s", p.login, r.Status, r.Body)
	}
	p.promised(r, promise{owed: reset.LetterReset}, 1)
}

// chooses sends a new password and holds what comes back.
func (p *promisee) chooses(token, password, want string) reply {
	p.t.Helper()
	r := p.do("POST", surface+"/new", `{"token":"`+token+`","password":"`+password+`"}`, p.from...)
	if !strings.Contains(r.Body, want) {
		p.complain("the change of %s is answered %d: %s", p.login, r.Status, r.Body)
	}
	return r
}

// links returns what stands in the mail of a person.
func (p *promisee) links() (token, cancel, code string) {
	p.t.Helper()
	m := p.mail(p.login+"@example.com", 1)
	link, err := m.CancelLink(p.Site + surface)
	if err == nil {
		code, err = m.Code()
	}
	if err != nil {
		p.complain("%v", err)
	}
	return p.token(m), strings.TrimPrefix(link, p.Site), code
}

// errands are what people do besides asking.
var errands = []func(*cuts, *promisee){
	func(c *cuts, p *promisee) { // changes the password
		token, _, _ := p.links()
		c.uses(p, token)
		p.promised(p.chooses(token, newPassword, `"changed"`), promise{owed: reset.LetterChanged, dead: token}, 2)
	},
	func(c *cuts, p *promisee) { // does so while the app is down
		token, _, _ := p.links()
		c.uses(p, token)
		p.promised(p.chooses(token, delayedPassword, `"pending"`), promise{owed: reset.LetterChanged, dead: token}, 2)
	},
	func(c *cuts, p *promisee) { // chooses what the app refuses
		token, _, _ := p.links()
		c.uses(p, token)
		p.promised(p.chooses(token, refusedPassword, "had before"), promise{live: token}, 2)
	},
	func(c *cuts, p *promisee) { // has not asked
		token, cancel, _ := p.links()
		r := p.do("POST", cancel, "{}", p.from...)
		if r.Status != http.StatusOK {
			p.complain("cancelling is answered %d: %s", r.Status, r.Body)
		}
		p.promised(r, promise{dead: token}, 2)
	},
	func(c *cuts, p *promisee) { // guesses codes
		_, _, code := p.links()
		for n := 1; n <= 5; n++ {
			p.promised(p.enters(wrongCode(code), http.StatusUnprocessableEntity), promise{wrong: n, code: code}, 2)
		}
	},
	func(c *cuts, p *promisee) { // enters the right one
		_, _, code := p.links()
		r := p.enters(code, http.StatusOK)
		var answer struct{ Token string }
		if err := json.Unmarshal([]byte(r.Body), &answer); err != nil {
			p.complain("%v", err)
		}
		p.promised(r, promise{live: answer.Token}, 2)
	},
}

// uses notes whose token it is that a change is made with.
func (c *cuts) uses(p *promisee, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[p.login] = token
}

func (p *promisee) enters(code string, status int) reply {
	p.t.Helper()
	r := p.do("POST", surface+"/code", `{"login":"`+p.login+`","code":"`+code+`"}`, p.from...)
	if r.Status != status {
		p.complain("a code of %s is answered %d: %s", p.login, r.Status, r.Body)
	}
	return r
}
