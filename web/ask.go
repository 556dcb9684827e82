package web

import (
	"errors"
	"net/http"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// ask shows the form for the login.
func (x *exchange) ask(Site, fields) {
	x.page(http.StatusOK, "ask.html", Page{})
}

// request notes a login. From here to the answer nothing may depend on whether
// it has an account.
func (x *exchange) request(site Site, f fields) {
	in, ok := f.all("login")
	if !ok {
		x.fail(FaultRequest)
		return
	}
	reference, err := site.Request(x.r.Context(), reset.Request{Login: in[0], ClientIP: x.ip})
	x.tell(OutcomeAccepted, err)
	x.told.Reference = reference
	switch {
	case errors.Is(err, reset.ErrLogin) && !x.json:
		x.page(http.StatusUnprocessableEntity, "ask.html", Page{Login: in[0], Errors: x.texts("page.reason.login")})
	case err != nil:
		x.failWith(err)
	case x.json:
		x.data(http.StatusAccepted, "application/json", struct {
			Status    string `json:"status"`
			Reference string `json:"reference"`
		}{"accepted", reference})
	default:
		x.cookie.put(x.w, site.Key(cookiePurpose), note{login: in[0], reference: reference})
		x.redirect(http.StatusSeeOther, x.prefix+"/sent")
	}
}

// mailSent says what happens next and takes the code.
func (x *exchange) mailSent(site Site, _ fields) {
	n := x.cookie.get(x.r, site.Key(cookiePurpose))
	x.page(http.StatusOK, "sent.html", Page{Login: n.login, Reference: n.reference})
}

// enterCode exchanges a code for a token. The token goes into the page that
// answers, not into a redirect: its address would be logged.
func (x *exchange) enterCode(site Site, f fields) {
	in, ok := f.all("login", "code")
	if !ok {
		x.fail(FaultRequest)
		return
	}
	token, err := x.code(site, reset.CodeEntry{Login: in[0], Code: in[1], ClientIP: x.ip})
	x.tell(OutcomeOpened, err)
	switch {
	case errors.Is(err, reset.ErrCode) && !x.json:
		n := x.cookie.get(x.r, site.Key(cookiePurpose))
		x.page(http.StatusUnprocessableEntity, "sent.html", Page{Login: in[0], Reference: n.reference, Errors: x.texts("page.reason.code")})
	case err != nil:
		x.failWith(err)
	case x.json:
		x.data(http.StatusOK, "application/json", struct {
			Token string `json:"token"`
		}{token})
	default:
		x.choose(site, http.StatusOK, token, "")
	}
}

// code asks the domain about a code. What cannot be a login has no code either.
func (x *exchange) code(site Site, e reset.CodeEntry) (token string, err error) {
	token, err = site.Code(x.r.Context(), e)
	if errors.Is(err, reset.ErrLogin) {
		err = reset.ErrCode
	}
	return token, err
}

// toForm sends a request for one of the app's own reset paths to our form,
// without a look at its body.
func (x *exchange) toForm(Site, fields) {
	status := http.StatusSeeOther
	if x.r.Method == http.MethodGet || x.r.Method == http.MethodHead {
		status = http.StatusFound
	}
	x.redirect(status, x.prefix)
}

// toChange answers the well-known address for changing passwords (W3C).
func (x *exchange) toChange(Site, fields) {
	x.redirect(http.StatusFound, x.wellKnown)
}

// policy tells programs the rules for a new password.
func (x *exchange) policy(site Site, _ fields) {
	x.data(http.StatusOK, "application/json", site.Rules())
}
