package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/locales"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

//go:embed pages/*.html pages/style.css pages/script.js
var builtin embed.FS

// pageNames are the templates that fill the layout.
var pageNames = []string{
	"ask.html", "sent.html", "new.html", "done.html", "pending.html",
	"cancel.html", "cancelled.html", "link.html", "error.html",
}

// A Page is what a template is executed with. Fields that a page has no use for
// are empty.
type Page struct {
	Site     string // name of the site
	Locale   string // BCP 47 tag of the page's language, for <html lang>
	Dir      string // "ltr" or "rtl"
	Path     string // where our routes live: forms go to {{.Path}}/code and so on
	LoginURL string

	LinkTTL string // life of a link, "30 minutes"
	CodeTTL string // life of a code
	Wait    string // "2 minutes", when trying again makes sense

	Login       string // as typed; new.html: the account's, for password managers
	Reference   string // of the request, to name it to a help desk
	Token       string // for the hidden field, or the path of cancel.html
	MaskedLogin string // whose password new.html changes
	Rules       passwords.Rules
	Errors      []string // what is wrong with what was typed
	Fault       string   // error.html: end of the keys page.fault.….title and .text

	Style  template.HTML // the style element
	Script template.HTML // the script element, on pages that need one
	Scrub  string        // what the script shows as the address, without the token

	words *locales.Catalog
}

// Text returns a text of the catalogue in the language of the page. The
// placeholders {site}, {link_ttl}, {code_ttl} and {wait} are filled from the
// fields of those names; kv are names and values of any others by turns.
func (p *Page) Text(key string, kv ...any) string {
	return p.words.Text(key, append(kv, "site", p.Site, "link_ttl", p.LinkTTL, "code_ttl", p.CodeTTL, "wait", p.Wait)...)
}

// PasswordRules describes the rules for password managers in the syntax of
// Apple's passwordrules attribute.
func (p *Page) PasswordRules() string {
	return fmt.Sprintf("minlength: %d; maxlength: %d; allowed: unicode;", p.Rules.MinLength, p.Rules.MaxLength)
}

// MaxLength is for the maxlength attribute, which counts UTF-16 units and cuts
// what is pasted without a word: twice the limit in code points never cuts a
// password that is allowed.
func (p *Page) MaxLength() int { return 2 * p.Rules.MaxLength }

// TemplateNames returns the files that an operator can put in the place of
// built-in ones.
func TemplateNames() []string {
	return append([]string{"layout.html", "style.css", "script.js"}, pageNames...)
}

// pages are the parsed templates and the policies that allow what they embed.
type pages struct {
	byName        map[string]*template.Template
	style, script template.HTML
	policy        string // Content-Security-Policy
	scriptPolicy  string // of pages with the script

	// inert writes "{{" as a reference. Behind Caddy's directive templates, which
	// an operator can put before ours, a page is run as a template: what a
	// visitor has typed into it would read the secrets of the environment.
	inert *strings.Replacer
}

func parsePages(overrides fs.FS) (*pages, error) {
	source := layered{overrides}
	layout, err := source.parse("layout.html", template.New("layout"))
	if err != nil {
		return nil, err
	}
	p := &pages{byName: make(map[string]*template.Template, len(pageNames))}
	for _, name := range pageNames {
		t, err := layout.Clone()
		if err != nil {
			return nil, fmt.Errorf("preparing layout.html: %w", err)
		}
		if p.byName[name], err = source.parse(name, t); err != nil {
			return nil, err
		}
	}
	style, err := source.read("style.css")
	if err != nil {
		return nil, err
	}
	script, err := source.read("script.js")
	if err != nil {
		return nil, err
	}
	// An early end tag would put the rest of the file into the page.
	if strings.Contains(style, "</") || strings.Contains(script, "</") {
		return nil, errors.New("style.css and script.js: neither may contain </")
	}
	p.style = template.HTML("<style>" + style + "</style>")
	p.script = template.HTML("<script>" + script + "</script>")
	p.inert = strings.NewReplacer(string(p.style), string(p.style), string(p.script), string(p.script), "{{", "{&#123;")
	p.policy = "default-src 'none'; style-src " + hash(style)
	if overrides != nil {
		p.policy += "; img-src 'self' data:"
	}
	p.policy += "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	p.scriptPolicy = p.policy + "; script-src " + hash(script)
	return p, nil
}

// complete fills in what all pages have.
func (h *Handler) complete(p *Page, words *locales.Catalog) {
	p.words = words
	p.Site, p.Locale, p.Dir = h.name, words.Tag(), words.Dir()
	p.Path, p.LoginURL = h.prefix, h.loginURL
	p.LinkTTL, p.CodeTTL = words.Duration(h.linkTTL), words.Duration(h.codeTTL)
	p.Style = h.pages.style
}

// rehearse executes every page in every language, so that an operator learns
// of a mistake in a template when the configuration is loaded.
func (h *Handler) rehearse() error {
	for _, tag := range locales.Tags() {
		words, err := locales.Lookup(tag)
		if err != nil {
			return err
		}
		for _, name := range pageNames {
			for _, full := range []bool{false, true} {
				p := Page{Fault: string(FaultUnknown)}
				if full {
					p = Page{
						Wait: words.Duration(time.Minute), Login: "alice", Reference: "reference",
						Token: "token", MaskedLogin: "a***e", Errors: []string{"error"},
						Rules: passwords.Rules{MinLength: 15, MaxLength: 128, MaxBytes: 512},
						Fault: string(FaultUnavailable), Script: h.pages.script, Scrub: h.prefix,
					}
				}
				h.complete(&p, words)
				if err := h.pages.byName[name].ExecuteTemplate(io.Discard, "layout", &p); err != nil {
					return fmt.Errorf("trying template %s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// layered reads the operator's file where there is one, else the built-in one.
type layered struct{ overrides fs.FS }

func (l layered) read(name string) (string, error) {
	if l.overrides != nil {
		b, err := fs.ReadFile(l.overrides, name)
		if err == nil {
			// A browser hashes what the HTML parser has made of line ends.
			return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("reading template %s: %w", name, err)
		}
	}
	b, err := fs.ReadFile(builtin, "pages/"+name)
	if err != nil {
		return "", fmt.Errorf("reading template %s: %w", name, err)
	}
	return string(b), nil
}

// parse adds a file to t. Its own content is under t's name, or defined in it.
func (l layered) parse(name string, t *template.Template) (*template.Template, error) {
	text, err := l.read(name)
	if err != nil {
		return nil, err
	}
	if name != "layout.html" {
		_, err = t.New(name).Parse(text)
	} else {
		_, err = t.Parse(text)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing template %s: %w", name, err)
	}
	return t, nil
}

// texts returns the text of a key as a list of errors.
func (x *exchange) texts(key string, kv ...any) []string {
	return []string{x.words.Text(key, append(kv, "site", x.name)...)}
}

// reasons puts into words why a password is not acceptable.
func (x *exchange) reasons(list []passwords.Reason) []string {
	var texts []string
	for _, reason := range list {
		key := "page.reason." + string(reason.Code)
		if reason.Bytes {
			key += "_bytes"
		}
		if !x.words.Has(key) {
			key = "page.reason.other"
		}
		texts = append(texts, x.texts(key, "limit", reason.Limit)...)
	}
	if texts == nil {
		return x.texts("page.reason.other")
	}
	return texts
}

// refusal is what a person reads when the app refuses a password.
func (x *exchange) refusal(detail string) []string {
	if detail == "" {
		return x.texts("page.reason.other")
	}
	return x.texts("page.reason.refused", "detail", detail)
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
