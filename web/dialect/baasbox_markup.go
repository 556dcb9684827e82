package dialect

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect/stringtemplate"
)

const (
	// baasboxMark stands on both sides of a placeholder for a value. It is for
	// private use: no template needs it.
	baasboxMark = "\uf8ff"

	// maxHashes keeps the header with the policy short enough for every proxy.
	maxHashes = 32
)

// baasboxForeign are the variables whose values others choose: who made the
// account, and the app.
var baasboxForeign = []string{"user_name", "error", "message"}

// baasboxAttributes hold text that a browser only shows. Foreign text in any
// other could become an address, a style or a script.
var baasboxAttributes = []string{"alt", "aria-label", "label", "placeholder", "title", "value"}

// A baasboxMarkup is what a browser makes of a page, or a mail reader of a
// mail, with placeholders in the place of values. Each stands where escaping a
// value is enough to keep it text.
type baasboxMarkup struct {
	mail  bool     // has neither a policy nor our form
	shown []string // variables that a person sees
	form  bool     // a form sends the two fields to us
	inert bool     // some of it is not loaded or run

	styles, scripts []string // hashes of what stands in the page itself

	asked   []stringtemplate.Variable // by the number in the placeholder
	kept    int                       // of the placeholders
	raw     string                    // the element whose text is no markup
	context baasboxContext
	open    *baasboxFields // the form that we are in
}

// baasboxFields is a form on the page.
type baasboxFields struct {
	ours  bool
	names []string
}

// readBaasboxMarkup renders the template of a page with the variables that are
// set, and reads what comes out. Its errors begin with the line where they can.
func readBaasboxMarkup(t *stringtemplate.Template, set []string) (*baasboxMarkup, error) {
	m := new(baasboxMarkup)
	if err := m.readAll(t, set); err != nil {
		return nil, err
	}
	m.endForm()
	if len(m.styles)+len(m.scripts) > maxHashes {
		return nil, fmt.Errorf("it has more than %d <style> and <script> elements and style attributes; put them into one", maxHashes)
	}
	return m, nil
}

// checkBaasboxMarkup reads the template of a mail in the same way: a mail
// reader may be a browser, and whoever made an account chose its name.
func checkBaasboxMarkup(t *stringtemplate.Template, set []string) error {
	m := baasboxMarkup{mail: true}
	return m.readAll(t, set)
}

// policy returns the Content-Security-Policy of the page (CSP level 3).
func (m *baasboxMarkup) policy() string {
	policy := "default-src 'none'; img-src 'self' data:"
	if m.styles != nil {
		// For style attributes, hashes alone do not count.
		policy += "; style-src 'unsafe-hashes' " + strings.Join(m.styles, " ")
	}
	if m.scripts != nil {
		policy += "; script-src " + strings.Join(m.scripts, " ")
	}
	return policy + "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

func (m *baasboxMarkup) readAll(t *stringtemplate.Template, set []string) error {
	tokens := html.NewTokenizer(strings.NewReader(t.Render(func(v stringtemplate.Variable) (string, bool) {
		if !slices.Contains(set, v.Name) || v.Line == 0 {
			return "", slices.Contains(set, v.Name)
		}
		return m.placeholder(v), true
	})))
	for tokens.Next() != html.ErrorToken {
		source := string(tokens.Raw()) // Token changes it
		token := tokens.Token()
		if err := m.context.enter(token, source); err != nil {
			return err
		}
		before := m.kept
		if err := m.read(token); err != nil {
			return err
		}
		if n := strings.Count(source, baasboxMark); n != 2*(m.kept-before) || n > 0 && m.context.foreign() != "" {
			return m.misplaced(source)
		}
		m.context.leave(token)
	}
	if m.kept != len(m.asked) {
		return errors.New("it breaks off in the middle of a tag")
	}
	return nil
}

// placeholder stands for the value of a variable and is as bad as one may be: a
// letter in front makes a tag of < before it, and a blank ends an attribute
// that has no quotes.
func (m *baasboxMarkup) placeholder(v stringtemplate.Variable) string {
	switch v.Name {
	case "password":
		return baasboxPassword
	case "repeat_password":
		return baasboxRepeat
	}
	m.asked = append(m.asked, v)
	return m.mark(len(m.asked) - 1)
}

func (m *baasboxMarkup) mark(n int) string {
	blank := " "
	if name := m.asked[n].Name; !m.mail && (name == "link" || name == "token") {
		blank = ""
	}
	return "x" + baasboxMark + blank + strconv.Itoa(n) + blank + baasboxMark
}

// variables returns the placeholders in a text.
func (m *baasboxMarkup) variables(text string) []stringtemplate.Variable {
	var found []stringtemplate.Variable
	parts := strings.Split(text, baasboxMark)
	for i := 1; i+1 < len(parts); i += 2 {
		n, err := strconv.Atoi(strings.Trim(parts[i], " "))
		if err == nil && 0 <= n && n < len(m.asked) {
			found = append(found, m.asked[n])
		}
	}
	return found
}

// misplaced is the error about what cannot hold a value, escaped or not: a
// script, a style, the inside of a tag. In a comment a value could end it, and
// in SVG and MathML browsers do not read as we do.
func (m *baasboxMarkup) misplaced(source string) error {
	for n, v := range m.asked {
		if !strings.Contains(source, m.mark(n)) {
			continue
		}
		if outer := m.context.foreign(); outer != "" {
			return fmt.Errorf("line %d: $%s$ stands within <%s>, where its value could become code; put it outside, and close <%s> before it", v.Line, v.Name, outer, outer)
		}
		attribute := "value"
		if v.Name == "link" {
			attribute = "href"
		}
		return fmt.Errorf("line %d: $%s$ stands where its value could become code; put it into the text, or into quotes as in %s=\"$%s$\"", v.Line, v.Name, attribute, v.Name)
	}
	return errors.New("it has a character for private use, U+F8FF")
}

func (m *baasboxMarkup) read(t html.Token) error {
	switch t.Type {
	case html.TextToken:
		return m.readText(t.Data)
	case html.StartTagToken, html.SelfClosingTagToken:
		return m.readTag(t)
	case html.EndTagToken:
		m.raw = ""
		if t.Data == "form" {
			m.endForm()
		}
	}
	return nil
}

func (m *baasboxMarkup) readText(text string) error {
	switch m.raw {
	case "", "title", "textarea":
	case "style":
		m.styles = withHash(m.styles, text)
		return nil
	case "script":
		m.scripts = withHash(m.scripts, text)
		return nil
	case "noscript":
		// Text where scripts run, markup where they do not: in a quoted value
		// there, </noscript> ends nothing.
		if strings.Contains(text, "<") {
			return errors.New("<noscript> cannot have elements or comments in it: browsers without scripts would read what follows in another way; write plain text")
		}
		return nil
	default:
		return nil
	}
	for _, v := range m.variables(text) {
		m.kept++
		switch {
		case v.Name != "form_template":
			m.shown = append(m.shown, v.Name)
		case m.raw != "" || m.open != nil:
			return fmt.Errorf("line %d: $form_template$ is a whole form; put it outside of other forms and of <title>", v.Line)
		default:
			m.form = true
		}
	}
	return nil
}

func (m *baasboxMarkup) readTag(t html.Token) error {
	if m.raw = ""; slices.Contains(baasboxRaw, t.Data) {
		m.raw = t.Data
	}
	if t.Data == "form" && m.open == nil { // browsers do not nest them
		m.open = &baasboxFields{ours: m.isOurs(t)}
	}
	for _, a := range t.Attr {
		for _, v := range m.variables(a.Val) {
			if !mayHold(a.Key, v.Name) {
				return fmt.Errorf("line %d: $%s$ cannot stand in the attribute %.40q", v.Line, v.Name, a.Key)
			}
			m.kept++
			m.shown = append(m.shown, v.Name)
		}
		switch {
		case a.Key == "style":
			m.styles = withHash(m.styles, a.Val)
		case a.Key == "name" && t.Data == "input" && m.open != nil:
			m.open.names = append(m.open.names, a.Val)
		case strings.HasPrefix(a.Key, "on"),
			a.Key == "src" && strings.Contains(a.Val, "//"),
			a.Key == "src" && t.Data == "script",
			a.Key == "href" && t.Data == "link":
			m.inert = true
		}
	}
	if unsafe := disclosing(t); unsafe != "" && !m.mail {
		return fmt.Errorf("%s is not possible: the token stands in the page's address, and another site could learn it; take it out", unsafe)
	}
	return nil
}

// isOurs tells whether a form sends its fields to where the page came from: by
// GET they would stand in an address, and the policy lets none go to another
// host, such as the old one.
func (m *baasboxMarkup) isOurs(form html.Token) bool {
	post, here := false, true
	for _, a := range form.Attr {
		switch a.Key {
		case "method":
			post = reset.Fold(a.Val) == "post"
		case "action":
			to := strings.TrimSpace(a.Val)
			here = to == ""
			for _, v := range m.variables(to) {
				here = here || v.Name == "link" && strings.HasPrefix(to, "x"+baasboxMark) ||
					v.Name == "token" && strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//")
			}
		}
	}
	return post && here
}

func (m *baasboxMarkup) endForm() {
	if f := m.open; f != nil && f.ours && slices.Contains(f.names, baasboxPassword) && slices.Contains(f.names, baasboxRepeat) {
		m.form = true
	}
	m.open = nil
}

// disclosing returns what of a tag could tell another site the address of the
// page, or "": it overrides our Referrer-Policy (HTML, sections 4.2.5.1 and
// 2.4.2), makes a page inside whose referrer is the page around it, or leads
// away with nobody's doing.
func disclosing(t html.Token) string {
	if t.Data == "base" {
		return "<base>"
	}
	for _, a := range t.Attr {
		value := reset.Fold(strings.TrimSpace(a.Val))
		switch {
		case a.Key == "referrerpolicy", a.Key == "srcdoc":
			return "the attribute " + a.Key
		case t.Data == "meta" && a.Key == "name" && value == "referrer":
			return `<meta name="referrer">`
		case t.Data == "meta" && a.Key == "http-equiv" && value == "refresh":
			return `<meta http-equiv="refresh">`
		}
	}
	return ""
}

// mayHold tells whether a variable may stand in a quoted attribute.
func mayHold(attribute, variable string) bool {
	switch {
	case variable == "form_template", strings.HasPrefix(attribute, "on"), attribute == "style", attribute == "srcdoc":
		return false
	case slices.Contains(baasboxForeign, variable):
		return slices.Contains(baasboxAttributes, attribute)
	}
	return true
}

// withHash adds what a policy calls an element or attribute by. Browsers do not
// look at an empty one.
func withHash(list []string, text string) []string {
	sum := sha256.Sum256([]byte(text))
	source := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if text == "" || slices.Contains(list, source) {
		return list
	}
	return append(list, source)
}
