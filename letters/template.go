package letters

import (
	"embed"
	"errors"
	"fmt"
	"html"
	htmltemplate "html/template"
	"io/fs"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// maxPart bounds a part that an operator's template writes. Gmail cuts a
	// mail off at about 100 kB, and with it the link.
	maxPart = 64 << 10
	// maxSubject bounds a subject that is not ours.
	maxSubject = 200
)

//go:embed templates
var builtin embed.FS

var kinds = []reset.LetterKind{reset.LetterReset, reset.LetterChanged, reset.LetterRefused, reset.LetterFailed}

// A template writes both parts of one kind of letter.
type template struct {
	kind reset.LetterKind
	text *texttemplate.Template
	html *htmltemplate.Template
	own  bool // the operator's
}

// subjectData is what a subject sees: constant for a site, so that neither a
// secret nor a stranger's text can be in it.
type subjectData struct {
	Site, Locale string
}

// TemplateNames returns the files that an operator can put in the place of
// built-in letters.
func TemplateNames() []string {
	var list []string
	for _, kind := range kinds {
		txt, html := names(kind)
		list = append(list, txt, html)
	}
	return list
}

func (t template) execute(d Data) (text, html string, err error) {
	var tb, hb limitedBuilder
	if err := t.text.Execute(&tb, d); err != nil {
		return "", "", err
	}
	if err := t.html.Execute(&hb, d); err != nil {
		return "", "", err
	}
	return strings.TrimSpace(tb.String()) + "\n", hb.String(), nil
}

func (t template) subject(d Data) string {
	if t.text.Lookup("subject") == nil {
		return d.Text("mail." + string(t.kind) + ".subject")
	}
	s, err := t.ownSubject(d)
	if err != nil {
		return "" // tryOut has seen it work
	}
	return s
}

func (t template) ownSubject(d Data) (string, error) {
	var b limitedBuilder
	err := t.text.ExecuteTemplate(&b, "subject", subjectData{d.Site, d.Locale})
	return strings.TrimSpace(b.String()), err
}

// parseTemplates returns a template for each kind of letter: the operator's,
// where there is one.
func parseTemplates(own fs.FS) (map[reset.LetterKind]template, error) {
	templates := make(map[reset.LetterKind]template, len(kinds))
	for _, kind := range kinds {
		isOwn, err := hasOwn(own, kind)
		if err != nil {
			return nil, err
		}
		fsys, dir := fs.FS(builtin), "templates"
		if isOwn {
			fsys, dir = own, "."
		}
		t, err := parse(fsys, path.Join(dir, string(kind)))
		if err != nil {
			return nil, err
		}
		t.kind, t.own = kind, isOwn
		templates[kind] = t
	}
	return templates, nil
}

// hasOwn tells whether the operator has a pair of templates for a letter.
func hasOwn(own fs.FS, kind reset.LetterKind) (bool, error) {
	if own == nil {
		return false, nil
	}
	txt, html := names(kind)
	_, err1 := fs.Stat(own, txt)
	_, err2 := fs.Stat(own, html)
	for _, err := range []error{err1, err2} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	if (err1 == nil) != (err2 == nil) {
		return false, fmt.Errorf("%s and %s go together, as they have to say the same: one is missing", txt, html)
	}
	return err1 == nil, nil
}

// parse reads one pair, by its path without the endings. The file's name is the
// template's, so that errors carry file and line.
func parse(fsys fs.FS, base string) (template, error) {
	read := func(fsys fs.FS, name string) (string, error) {
		b, err := fs.ReadFile(fsys, name)
		return string(b), err
	}
	textParts, err1 := read(builtin, "templates/parts.txt")
	htmlParts, err2 := read(builtin, "templates/parts.html")
	text, err3 := read(fsys, base+".txt")
	markup, err4 := read(fsys, base+".html")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return template{}, err
	}
	var t template
	var err error
	if t.text, err = texttemplate.New("parts.txt").Option("missingkey=error").Parse(textParts); err != nil {
		return template{}, err
	}
	if t.text, err = t.text.New(path.Base(base) + ".txt").Parse(text); err != nil {
		return template{}, err
	}
	if t.html, err = htmltemplate.New("parts.html").Option("missingkey=error").Parse(htmlParts); err != nil {
		return template{}, err
	}
	t.html, err = t.html.New(path.Base(base) + ".html").Parse(markup)
	return t, err
}

// tryOut executes every template, so that a mistake in one shows when the
// configuration is loaded and not in the mail that somebody waits for. It also
// looks for what each letter must say.
func (c *Composer) tryOut() error {
	for _, kind := range kinds {
		t := c.templates[kind]
		for _, code := range []string{"12345678", ""} {
			d := c.data(sample(kind, code), "alice@example.com")
			text, markup, err := t.execute(d)
			if err != nil {
				return err
			}
			if t.text.Lookup("subject") != nil {
				if s, err := t.ownSubject(d); err != nil {
					return err
				} else if s == "" || len(s) > maxSubject || !printable(s) {
					return fmt.Errorf("%s.txt: the subject must be one short line", kind)
				}
			}
			if err := complete(kind, d, text, html.UnescapeString(markup)); err != nil {
				return err
			}
		}
	}
	return nil
}

// complete checks that both parts hold what a person needs.
func complete(kind reset.LetterKind, d Data, text, markup string) error {
	required := map[string]string{"Site": d.Site, "When": d.When, "Reference": d.Reference, "AskLink": d.AskLink}
	links := []string{"AskLink"}
	if kind == reset.LetterReset {
		delete(required, "AskLink")
		required["Link"], required["CancelLink"], required["LinkTTL"] = d.Link, d.CancelLink, d.LinkTTL
		links = []string{"Link", "CancelLink"}
		if d.Code != "" {
			required["Code"], required["CodeTTL"] = d.Code, d.CodeTTL
		}
	}
	for field, value := range required {
		for name, part := range map[string]string{".txt": text, ".html": markup} {
			if !strings.Contains(part, value) {
				return fmt.Errorf("%s%s does not show {{.%s}}", kind, name, field)
			}
		}
	}
	lines := strings.Split(text, "\n")
	for _, field := range links {
		if !slices.Contains(lines, required[field]) {
			return fmt.Errorf("%s.txt: {{.%s}} must stand alone on its line, or mail readers cut it", kind, field)
		}
	}
	return nil
}

func sample(kind reset.LetterKind, code string) reset.Letter {
	return reset.Letter{
		Kind:       kind,
		To:         reset.Account{ID: "1", Login: "alice", Email: "alice@example.com", Name: "Alice"},
		MessageID:  "sample",
		Reference:  "SMPL-REFR",
		At:         time.Unix(0, 0),
		Link:       "https://example.com/sample-link",
		Code:       code,
		CancelLink: "https://example.com/sample-cancel",
		AskLink:    "https://example.com/sample-ask",
		LinkTTL:    31 * time.Minute,
		CodeTTL:    11 * time.Minute,
	}
}

// names returns the files of a letter.
func names(kind reset.LetterKind) (txt, html string) {
	return string(kind) + ".txt", string(kind) + ".html"
}

// A limitedBuilder collects what a template writes and refuses to grow past
// maxPart.
type limitedBuilder struct {
	b strings.Builder
}

func (l *limitedBuilder) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > maxPart {
		return 0, fmt.Errorf("more than %d bytes", maxPart)
	}
	return l.b.Write(p)
}

func (l *limitedBuilder) String() string { return l.b.String() }
