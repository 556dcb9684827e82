package web

import (
	"errors"
	"net/http"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// follow shows the form for the new password to the holder of a link. Mail
// scanners and prefetching browsers come here too: nothing changes.
func (x *exchange) follow(site Site, _ fields) {
	if x.route.token == "" {
		x.fail(faultLink)
		return
	}
	x.choose(site, http.StatusOK, x.route.token, x.prefix+"/link")
}

// choose shows the form for the new password. Errors are those of the last
// try. The address is replaced by scrub where scripts run.
func (x *exchange) choose(site Site, status int, token, scrub string, problems ...string) {
	grant, err := site.Look(x.r.Context(), token, x.ip)
	switch {
	case err != nil:
		x.failWith(err)
	case grant.Claimed:
		x.told.Outcome = OutcomePending
		x.page(http.StatusOK, "pending.html", Page{Scrub: scrub})
	default:
		if x.told.Outcome == "" { // not the answer to a password
			x.told.Outcome = OutcomeOpened
		}
		rules := site.Rules()
		x.page(status, "new.html", Page{
			Scrub:       scrub,
			Token:       token,
			MaskedLogin: grant.MaskedLogin,
			Login:       grant.Login,
			Rules:       rules,
			Errors:      problems,
		})
	}
}

// change takes a new password. A dead token is reported before anything that
// is wrong with the passwords.
func (x *exchange) change(site Site, f fields) {
	token, password, ok := x.newPassword(site, f)
	if !ok {
		return
	}
	result, err := site.Change(x.r.Context(), reset.NewPassword{Token: token, Password: password, ClientIP: x.ip})
	if rules, ok := errors.AsType[*reset.PasswordError](err); ok {
		if x.json {
			x.refuse(faultPassword, "", rules.Reasons)
			return
		}
		x.told.Outcome = OutcomeRefused
		x.choose(site, http.StatusUnprocessableEntity, token, "", x.reasons(rules.Reasons)...)
		return
	}
	if err != nil {
		x.failWith(err)
		return
	}
	x.told.Outcome = outcomeOfChange(result.Status)
	switch result.Status {
	case reset.StatusChanged:
		x.accepted(http.StatusOK, result.Status, "/done")
	case reset.StatusPending:
		x.accepted(http.StatusAccepted, result.Status, "/pending")
	case reset.StatusRefused:
		detail := reset.PlainText(result.Detail, reset.MaxDetail)
		if x.json {
			x.refuse(faultRefused, detail, nil)
			return
		}
		x.choose(site, http.StatusUnprocessableEntity, token, "", x.refusal(detail)...)
	case reset.StatusGone:
		x.fail(faultGone)
	case reset.StatusSuperseded:
		x.fail(faultSuperseded)
	default:
		// Never "changed" unless it is said so.
		x.fail(FaultUnavailable)
	}
}

// newPassword reads token and password, or answers and returns false.
func (x *exchange) newPassword(site Site, f fields) (token, password string, ok bool) {
	if !x.json {
		in, ok := f.all("token", "password", "password_repeat")
		if !ok {
			x.fail(FaultRequest)
			return "", "", false
		}
		if in[1] != in[2] {
			x.told.Outcome = OutcomeRefused
			x.choose(site, http.StatusUnprocessableEntity, in[0], "", x.texts("page.reason.mismatch")...)
			return "", "", false
		}
		return in[0], in[1], true
	}
	if in, ok := f.all("token", "password"); ok {
		return in[0], in[1], true
	}
	in, ok := f.all("login", "code", "password")
	if !ok {
		x.fail(FaultRequest)
		return "", "", false
	}
	token, err := x.code(site, reset.CodeEntry{Login: in[0], Code: in[1], ClientIP: x.ip})
	if err != nil {
		x.failWith(err)
		return "", "", false
	}
	return token, in[2], true
}

// accepted says what became of a new password. The note of who asked has done
// its work.
func (x *exchange) accepted(status int, outcome reset.Status, page string) {
	if x.json {
		x.data(status, "application/json", struct {
			Status reset.Status `json:"status"`
		}{outcome})
		return
	}
	x.cookie.drop(x.w)
	x.redirect(http.StatusSeeOther, x.prefix+page)
}

func (x *exchange) done(Site, fields) { x.page(http.StatusOK, "done.html", Page{}) }

func (x *exchange) pending(Site, fields) { x.page(http.StatusOK, "pending.html", Page{}) }
