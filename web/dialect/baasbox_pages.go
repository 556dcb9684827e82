package dialect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect/stringtemplate"
)

// Names of the fields of BaasBox's form.
const (
	baasboxPassword = "password"
	baasboxRepeat   = "repeat-password"
)

// A baasboxPage is a page of the operator's. It exists in two states, which
// differ in what is set and so in what they consist of.
//
// All values are escaped. The policy of a page lets it show images of the site
// itself, and use the styles and scripts that stand in it: it loads nothing
// else, as the token stands in the page's address and another host's script
// could read it there.
type baasboxPage struct {
	template *stringtemplate.Template
	policies [2]string // without and with an error
	inert    bool      // some of it is not loaded or run
}

// parseBaasboxForm reads the template of the page with the form.
func parseBaasboxForm(text string) (*baasboxPage, error) {
	always := []string{"application_name", "form_template", "link", "password", "repeat_password", "token", "user_name"}
	return parseBaasboxPage(text, [2][]string{always, append([]string{"error"}, always...)}, func(m *baasboxMarkup, failed bool) error {
		switch {
		case !m.form:
			return errors.New("nobody could choose a password: write $form_template$, " +
				"or a form with method=\"post\", action=\"$link$\" and two inputs, name=\"$password$\" and name=\"$repeat_password$\"")
		case failed && !slices.Contains(m.shown, "error"):
			return errors.New("nobody would learn why a password was not taken: write $error$ where that is to stand")
		}
		return nil
	})
}

// parseBaasboxFeedback reads the template of the page that says what became of
// the new password.
func parseBaasboxFeedback(text string) (*baasboxPage, error) {
	return parseBaasboxPage(text, [2][]string{{"application_name", "message", "user_name"}, {"application_name", "error", "user_name"}}, func(m *baasboxMarkup, failed bool) error {
		switch {
		case !failed && !slices.Contains(m.shown, "message"):
			return errors.New("nobody would learn that the password was changed: write $message$ where that is to stand")
		case failed && !slices.Contains(m.shown, "error"):
			return errors.New("nobody would learn why the password was not changed: write $error$ where that is to stand")
		}
		return nil
	})
}

// parseBaasboxPage reads a template that has the given variables without and
// with an error.
func parseBaasboxPage(text string, set [2][]string, check func(m *baasboxMarkup, failed bool) error) (*baasboxPage, error) {
	known := slices.Concat(set[0], set[1])
	slices.Sort(known)
	t, err := stringtemplate.Parse(text, slices.Compact(known)...)
	if err != nil {
		return nil, err
	}
	p := &baasboxPage{template: t}
	for state := range set {
		m, err := readBaasboxMarkup(t, set[state])
		if err != nil {
			return nil, err
		}
		if err := check(m, state == 1); err != nil {
			return nil, err
		}
		p.policies[state] = m.policy()
		p.inert = p.inert || m.inert
	}
	return p, nil
}

// render returns the page with values in it, and its policy.
func (p *baasboxPage) render(values map[string]string) (page []byte, policy string) {
	state := 0
	if _, failed := values["error"]; failed {
		state = 1
	}
	return []byte(p.template.Render(func(v stringtemplate.Variable) (string, bool) {
		value, set := values[v.Name]
		if v.Name != "form_template" {
			value = html.EscapeString(strings.ToValidUTF8(value, "\ufffd"))
			// Nor may it be run by Caddy's directive templates before us.
			value = strings.ReplaceAll(value, "{", "&#123;")
		}
		return value, set
	})), p.policies[state]
}

// baasboxFormTemplate is the value of $form_template$, as BaasBox makes it.
func baasboxFormTemplate(link string) string {
	return fmt.Sprintf("<form action='%s' method='POST' id='reset_pwd_form'>"+
		"<label for='password'>New password</label><input type='password' id='password' name='password' />"+
		"<label for='repeat-password'>Repeat the new password</label><input type='password' id='repeat-password' name='repeat-password' />"+
		"<button type='submit' id='reset_pwd_submit'>Reset the password</button></form>", html.EscapeString(link))
}
