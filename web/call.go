package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A Call is one request in a dialect, and the only way of a dialect to the
// domain. A method that returns an error returns one of package reset; where
// the domain is not available that is [reset.ErrUnavailable].
type Call struct {
	x       *exchange
	heard   *hearing
	trusted bool

	site    Site
	release func()
}

// Request is what the client sent. Its body is read by [Call.Body].
func (c *Call) Request() *http.Request { return c.x.r }

// Header is that of the answer.
func (c *Call) Header() http.Header { return c.x.w.Header() }

// Param returns what stands in a variable segment of the path, decoded once. In
// [Dialect].Fail, where no endpoint may have matched, it is "" then.
func (c *Call) Param(name string) string {
	if c.heard.endpoint == nil {
		return ""
	}
	n := 0
	for _, s := range c.heard.endpoint.segments {
		if s.rest || s.name == "" {
			continue
		}
		if s.name == name {
			return c.heard.params[n]
		}
		n++
	}
	panic("web: no parameter " + name)
}

// Query returns what a name stands for in the query: its first value, as the
// vendors' servers read it, or "".
func (c *Call) Query(name string) string {
	// A damaged pair is left out and does not hide the others.
	q, _ := url.ParseQuery(c.x.r.URL.RawQuery)
	return q.Get(name)
}

// Trust says that the client has shown the dialect's credential. The limits by
// address are fifty times as large for it, as behind an app's own server all
// people have one.
func (c *Call) Trust() { c.trusted = true }

// Note adds to the line about this request in the log. It must not be secret,
// nor anything that the client chose.
func (c *Call) Note(key, value string) {
	c.heard.notes = append(c.heard.notes, slog.String(key, value))
}

// Key derives a key of the site for one purpose, the same after a restart.
func (c *Call) Key(purpose string) ([32]byte, error) {
	if err := c.open(); err != nil {
		return [32]byte{}, err
	}
	return c.site.Key("dialect " + c.heard.name + " " + purpose), nil
}

// Look tells what a token opens, and changes nothing.
func (c *Call) Look(token string) (reset.Grant, error) {
	if err := c.open(); err != nil {
		return reset.Grant{}, err
	}
	g, err := c.site.Look(c.x.r.Context(), token, c.x.ip)
	c.x.tell(OutcomeOpened, err)
	return g, c.known(err)
}

// Code exchanges a code for a token. What cannot be a login has no code either.
func (c *Call) Code(login, code string) (token string, err error) {
	if err := c.open(); err != nil {
		return "", err
	}
	token, err = c.x.code(c.site, reset.CodeEntry{Login: login, Code: code, ClientIP: c.x.ip, Trusted: c.trusted})
	c.x.tell(OutcomeOpened, err)
	return token, c.known(err)
}

// Change sets a new password. "Changed" may be said after
// [reset.StatusChanged] only.
func (c *Call) Change(token, password string) (reset.Result, error) {
	if err := c.open(); err != nil {
		return reset.Result{}, err
	}
	result, err := c.site.Change(c.x.r.Context(), reset.NewPassword{Token: token, Password: password, ClientIP: c.x.ip, Trusted: c.trusted})
	c.x.tell(outcomeOfChange(result.Status), err)
	return result, c.known(err)
}

// Reasons puts into words why a password is not acceptable, or what the app
// said of one, in the language of the client, as plain text.
func (c *Call) Reasons(result reset.Result, err error) string {
	var texts []string
	if rules, ok := errors.AsType[*reset.PasswordError](err); ok {
		texts = c.x.reasons(rules.Reasons)
	} else {
		texts = c.x.refusal(reset.PlainText(result.Detail, reset.MaxDetail))
	}
	return strings.Join(texts, " ")
}

// Follow answers as our own page for a link does, with a page whatever the
// client says that it accepts.
func (c *Call) Follow(token string) {
	c.x.json = false
	if err := c.open(); err != nil {
		c.x.failWith(err)
		return
	}
	c.x.choose(c.site, http.StatusOK, token, c.x.prefix+"/link")
}

// Submit answers as our own page for a new password does, with a page whatever
// the client says that it accepts: for a program, repeated would not count.
func (c *Call) Submit(token, password, repeated string) {
	c.x.json = false
	if err := c.open(); err != nil {
		c.x.failWith(err)
		return
	}
	c.x.change(c.site, fields{"token": token, "password": password, "password_repeat": repeated})
}

// Answer sends an answer. Media is "" for one that has no body.
func (c *Call) Answer(status int, media string, body []byte) { c.x.send(status, media, body) }

// JSON sends a document in compact form, its members in the order of the
// struct's fields. Nothing is escaped for HTML: other languages do not do it.
func (c *Call) JSON(status int, media string, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("web: answer of a dialect: no JSON")
	}
	c.x.send(status, media, bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
}

// RetryAfter tells a client when to try again, in a second at the earliest.
func (c *Call) RetryAfter(d time.Duration) { c.x.retryAfter(max(d, time.Second)) }

// AllowPages answers a preflight request with what a page may send (Fetch
// standard, CORS protocol). It is followed by Answer or JSON. A page whose
// origin is not allowed learns nothing.
func (c *Call) AllowPages(methods, headers string) {
	if h := c.Header(); h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", headers)
	}
}

// Allow lists the methods of the endpoint, as for the header Allow.
func (c *Call) Allow() string {
	if c.heard.endpoint == nil {
		return ""
	}
	return strings.Join(slices.Sorted(maps.Keys(c.heard.endpoint.Methods)), ", ")
}

// open takes the domain for the rest of the call.
func (c *Call) open() error {
	if c.site != nil {
		return nil
	}
	site, release, err := c.x.open(c.x.r.Context())
	if err != nil {
		c.x.told.Outcome = OutcomeUnavailable
		return c.known(err)
	}
	c.site, c.release = site, release
	return nil
}

func (c *Call) close() {
	if c.release != nil {
		c.release()
	}
}

// known logs an error that is not of the domain and replaces it.
func (c *Call) known(err error) error {
	if err == nil {
		return nil
	}
	if _, _, known := faultOf(err); known {
		return err
	}
	c.x.logFault("request of a dialect not answered as asked", err)
	return reset.ErrUnavailable
}

// answer answers a request in a dialect.
func (x *exchange) answer(heard *hearing) {
	c := &Call{x: x, heard: heard}
	defer c.close()
	defer c.rescue()
	if c.dispatch(); !x.sent {
		panic("web: a dialect has not answered")
	}
}

func (c *Call) dispatch() {
	e := c.heard.endpoint
	if e == nil {
		c.fail(c.heard.fault)
		return
	}
	if !c.x.admit(e.Origins) {
		c.fail(FaultForeign)
		return
	}
	do, ok := e.Methods[c.x.r.Method]
	switch {
	case ok:
		do(c)
	case len(e.Methods) == 0:
		c.fail(FaultUnknown)
	default:
		c.fail(FaultMethod)
	}
}

func (c *Call) fail(f Fault) {
	c.x.told.Outcome = outcomeOf(f)
	c.heard.Fail(c, f)
}

// rescue answers after a panic, in the vendor's form and before the domain is
// given back, which that form may need. Whatever goes wrong here too is left to
// the exchange.
func (c *Call) rescue() {
	v := recover()
	if v == nil {
		return
	}
	c.x.logPanic(v)
	if c.x.sent {
		return
	}
	c.x.header()
	if c.fail(FaultInternal); !c.x.sent {
		panic("web: a dialect has not answered")
	}
}
