package dialect

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// What BaasBox says of a link and of the passwords that are sent with it. The
// first word of some is the class of an exception.
const (
	baasboxExpired  = "Exception: Reset password procedure is expired! Please repeat the reset password procedure"
	baasboxDead     = "Exception: Reset Code not found or expired! Please repeat the reset password procedure"
	baasboxGone     = "Exception: User not found!"
	baasboxNoForm   = "Exception: Error getting submitted data. Please repeat the reset password procedure"
	baasboxOften    = "Exception: Too many requests. Please try again later"
	baasboxDown     = "Exception: The service is not available. Please try again later"
	baasboxMissing  = "The 'new password' field is missing"
	baasboxUnsure   = "The 'repeat password' field is missing"
	baasboxDiffer   = `The new "password" field and the "repeat password" field must be the same.`
	baasboxChanged  = "Password changed"
	baasboxAccepted = "The password was saved and will take effect shortly"
)

// A baasboxVisit is one request with a link.
type baasboxVisit struct {
	*BaasBox
	c     *web.Call
	token string
	json  bool
	opens bool   // the link; else a new password comes with it
	login string // "" while it is not known whose link it is
}

// visit reads the token. One that is spelled with escapes is none: each has one
// spelling.
func (b *BaasBox) visit(c *web.Call) *baasboxVisit {
	v := &baasboxVisit{BaasBox: b, c: c}
	segment := c.Param("token")
	v.token, v.json = strings.CutSuffix(segment, ".json")
	if !strings.HasSuffix(baasboxResource(c.Request()), "/"+segment) {
		v.token = ""
	}
	return v
}

// openLink answers the link in the mail, and changes nothing.
func (b *BaasBox) openLink(c *web.Call) {
	v := b.visit(c)
	if v.isOurs() {
		c.Follow(v.token)
		return
	}
	v.opens = true
	switch grant, err := v.look(); {
	case err != nil:
		v.failWith(err)
	case grant.Claimed:
		v.finish(http.StatusAccepted, baasboxAccepted)
	default:
		v.show(http.StatusOK, "")
	}
}

// submit takes a new password. A dead link is told before anything that is
// wrong with the passwords.
func (b *BaasBox) submit(c *web.Call) {
	v := b.visit(c)
	if v.isOurs() {
		// A field that is not there, or there twice, is an empty one, which
		// is no password.
		form, status := v.read()
		if status != 0 {
			b.Fail(c, web.FaultRequest)
			return
		}
		c.Submit(v.token, single(form[baasboxPassword]), single(form[baasboxRepeat]))
		return
	}
	if _, err := v.look(); err != nil {
		v.failWith(err)
		return
	}
	form, status := v.read()
	if status != 0 {
		v.fail(status, baasboxNoForm)
		return
	}
	if problem := judge(form[baasboxPassword], form[baasboxRepeat]); problem != "" {
		v.show(http.StatusBadRequest, problem)
		return
	}
	v.change(form[baasboxPassword][0])
}

func (v *baasboxVisit) change(password string) {
	result, err := v.c.Change(v.token, password)
	if _, refused := errors.AsType[*reset.PasswordError](err); refused {
		v.show(http.StatusBadRequest, v.c.Reasons(result, err))
		return
	}
	if err != nil {
		v.failWith(err)
		return
	}
	switch result.Status {
	case reset.StatusChanged:
		v.finish(http.StatusOK, baasboxChanged)
	case reset.StatusPending:
		v.finish(http.StatusAccepted, baasboxAccepted)
	case reset.StatusRefused:
		v.show(http.StatusBadRequest, v.c.Reasons(result, nil))
	case reset.StatusGone:
		v.fail(http.StatusBadRequest, baasboxGone)
	case reset.StatusSuperseded:
		v.failWith(reset.ErrGrant)
	default:
		v.failWith(reset.ErrUnavailable)
	}
}

// isOurs tells whether our own pages answer.
func (v *baasboxVisit) isOurs() bool { return !v.json && v.form == nil }

func (v *baasboxVisit) look() (reset.Grant, error) {
	grant, err := v.c.Look(v.token)
	v.login = grant.Login
	return grant, err
}

// read reads the form in the body. Status is 0, or that of the answer.
func (v *baasboxVisit) read() (form url.Values, status int) {
	media, charset, ok := v.c.Media()
	if !ok || media != "application/x-www-form-urlencoded" || charset != "" && charset != "utf-8" {
		return nil, http.StatusBadRequest
	}
	body, fault := v.c.Body()
	switch {
	case fault == web.FaultTooLarge:
		return nil, http.StatusRequestEntityTooLarge
	case fault != "":
		return nil, http.StatusBadRequest
	}
	if form, ok = web.ParseForm(body); !ok {
		return nil, http.StatusBadRequest
	}
	return form, 0
}

// show shows the form, with what was wrong with the last try.
func (v *baasboxVisit) show(status int, problem string) {
	link := v.linkPath(v.token)
	if v.json {
		v.c.JSON(status, baasboxJSON, struct {
			UserName        string `json:"user_name"`
			Link            string `json:"link"`
			Token           string `json:"token"`
			ApplicationName string `json:"application_name"`
			Error           string `json:"error,omitempty"`
		}{v.login, link + ".json", v.token, v.name, problem})
		return
	}
	values := map[string]string{
		"link": link, "token": v.token, "form_template": baasboxFormTemplate(link),
		"password": baasboxPassword, "repeat_password": baasboxRepeat,
	}
	if problem != "" {
		values["error"] = problem
	}
	v.page(v.BaasBox.form, status, values)
}

// finish says what became of the new password.
func (v *baasboxVisit) finish(status int, message string) {
	if v.json {
		v.c.JSON(status, baasboxJSON, struct {
			UserName        string `json:"user_name"`
			Message         string `json:"message"`
			ApplicationName string `json:"application_name"`
		}{v.login, message, v.name})
		return
	}
	v.page(v.feedback, status, map[string]string{"message": message})
}

// fail says why there will be no new password.
func (v *baasboxVisit) fail(status int, problem string) {
	switch {
	case !v.json:
		v.page(v.feedback, status, map[string]string{"error": problem})
	case v.opens:
		v.c.JSON(status, baasboxJSON, struct {
			Status          string `json:"status"`
			UserName        string `json:"user_name"`
			Error           string `json:"error"`
			ApplicationName string `json:"application_name"`
		}{"KO", v.login, problem, v.name})
	default:
		v.c.JSON(status, baasboxJSON, struct {
			UserName        string `json:"user_name"`
			Error           string `json:"error"`
			ApplicationName string `json:"application_name"`
		}{v.login, problem, v.name})
	}
}

func (v *baasboxVisit) failWith(err error) {
	often, limited := errors.AsType[*reset.LimitError](err)
	switch {
	case limited:
		v.c.RetryAfter(often.RetryAfter)
		v.fail(http.StatusTooManyRequests, baasboxOften)
	case !errors.Is(err, reset.ErrGrant):
		v.c.RetryAfter(time.Second)
		v.fail(http.StatusServiceUnavailable, baasboxDown)
	case v.opens:
		v.fail(http.StatusBadRequest, baasboxExpired)
	default:
		v.login = "" // one answer for all dead links
		v.fail(http.StatusBadRequest, baasboxDead)
	}
}

// page sends a page of the operator's.
func (v *baasboxVisit) page(p *baasboxPage, status int, values map[string]string) {
	all := map[string]string{"user_name": v.login, "application_name": v.name}
	maps.Copy(all, values)
	body, policy := p.render(all)
	v.c.Header().Set("Content-Security-Policy", policy)
	v.c.Answer(status, "text/html; charset=utf-8", body)
}

// judge returns what is wrong with the fields, in the original's words and
// order, "" for nothing.
func judge(password, repeated []string) string {
	switch {
	case len(password) > 0 && len(repeated) > 0 && password[0] != repeated[0]:
		return baasboxDiffer
	case len(repeated) != 1:
		return baasboxUnsure
	case len(password) != 1:
		return baasboxMissing
	}
	return ""
}

// single returns the one value of a field, "" if there is not one.
func single(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
