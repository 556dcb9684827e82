package letters

import (
	"errors"
	"fmt"
	"html"
	htmltemplate "html/template"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// separator parts a wording from what stands below it. It is none that mail
// readers take for the begin of a signature, which some of them hide.
const separator = "\n\n----------\n\n"

// An addendum is what its templates see: they write what a letter has to say
// and its wording does not.
type addendum struct {
	Data

	// LinkAbove and CodeAbove tell that the wording holds them.
	LinkAbove, CodeAbove bool
	// Body is the wording where it has no HTML of its own.
	Body htmltemplate.HTML
}

// takeWordings tries the wordings out, so that a mistake in one shows when the
// configuration is loaded and not in the mail that somebody waits for.
func (c *Composer) takeWordings(wordings map[string]reset.Wording) error {
	var err error
	if c.addendum, err = parse(builtin, "templates/worded"); err != nil {
		return err
	}
	c.wordings = make(map[string]reset.Wording, len(wordings))
	for _, name := range slices.Sorted(maps.Keys(wordings)) {
		w := wordings[name]
		w.Text = plain(w.Text)
		c.wordings[name] = w
		if err := c.tryOutWording(name, wordings[name]); err != nil {
			return fmt.Errorf("dialect %s: %w", name, err)
		}
	}
	return nil
}

func (c *Composer) tryOutWording(dialect string, w reset.Wording) error {
	if !utf8.ValidString(w.Text) || !utf8.ValidString(w.HTML) {
		return errors.New("the wording of the mail is not UTF-8")
	}
	if !printable(w.Subject) || utf8.RuneCountInString(w.Subject) > maxSubject {
		return fmt.Errorf("the subject of the mail must be one line of at most %d printable characters", maxSubject)
	}
	for _, placeholder := range []string{w.Link, w.Token, w.Code, w.Login} {
		if holds(w.Subject, placeholder) {
			return fmt.Errorf("the subject of the mail must not hold %s: nothing about a person belongs there", placeholder)
		}
	}
	if c.wordings[dialect].Text == "" {
		if strings.TrimSpace(w.Text+w.HTML) != "" {
			return errors.New("the wording of the mail has no text part; readers without HTML would show nothing")
		}
		return nil
	}
	for _, code := range []string{"12345678", ""} {
		l := sample(reset.LetterReset, code)
		l.Dialect = dialect
		w, ok := c.wordingOf(l)
		if !ok {
			continue
		}
		d := c.data(l, l.To.Email)
		said, err := c.word(w, l, d)
		if err != nil {
			return fmt.Errorf("the wording of the mail: %w", err)
		}
		// What stands below must be seen. A comment, a style sheet or a hidden
		// element that is not closed would swallow it.
		if _, links := shown(said.html); !slices.Contains(links, d.CancelLink) {
			return errors.New("the HTML of the mail hides what is put at its end: is each of its elements closed?")
		}
	}
	return nil
}

// wordingOf returns the wording of a letter, and false if it is ours.
func (c *Composer) wordingOf(l reset.Letter) (reset.Wording, bool) {
	w, ok := c.wordings[l.Dialect]
	if !ok || l.Kind != reset.LetterReset {
		return w, false
	}
	if l.Words != nil {
		w.Subject, w.Text, w.HTML = foreignSubject(l.Words.Subject), plain(foreign(l.Words.Text)), ""
	}
	// A sentence about a code that is not there would be a dead end.
	wantsCode := holds(w.Text, w.Code) || holds(w.HTML, w.Code)
	return w, w.Text != "" && (l.Code != "" || !wantsCode)
}

// word writes a letter in the words of its dialect or its caller, and below
// them what they lack.
func (c *Composer) word(w reset.Wording, l reset.Letter, d Data) (content, error) {
	said := content{subject: w.Subject}
	if said.subject == "" {
		said.subject = c.templates[l.Kind].subject(d)
	}
	text := fill(w, w.Text, l, d, verbatim, verbatim)
	below := addendum{Data: d, LinkAbove: holdsLink(text, d.Link), CodeAbove: holdsCode(text, l.Code)}
	var tb, hb limitedBuilder
	if err := c.addendum.text.Execute(&tb, below); err != nil {
		return content{}, err
	}
	said.text = text + separator + strings.TrimSpace(tb.String()) + "\n"

	name := c.addendum.html.Name()
	if w.HTML == "" {
		below.Body = paragraphs(fill(w, html.EscapeString(w.Text), l, d, html.EscapeString, anchor(d.Link)))
	} else {
		markup := fill(w, w.HTML, l, d, verbatim, html.EscapeString)
		seen, links := shown(markup)
		below.LinkAbove = slices.Contains(links, d.Link) || holdsLink(seen, d.Link)
		below.CodeAbove = holdsCode(seen, l.Code)
		if isDocument(markup) {
			name, said.html = "block", markup
		} else {
			name, below.Body = "fragment", htmltemplate.HTML(markup)
		}
	}
	if err := c.addendum.html.ExecuteTemplate(&hb, name, below); err != nil {
		return content{}, err
	}
	said.html = insert(said.html, strings.TrimSpace(hb.String())+"\n")
	if len(said.text) > maxPart || len(said.html) > maxPart {
		return content{}, fmt.Errorf("more than %d bytes", maxPart)
	}
	return said, nil
}

// fill puts the values of a letter in the places of their placeholders, in one
// pass: what a value brings is never read as a placeholder. The placeholders
// are spelled as spell says in s, and show makes a value fit for it.
func fill(w reset.Wording, s string, l reset.Letter, d Data, spell, show func(string) string) string {
	var pairs []string
	for _, p := range [][2]string{
		{w.Link, d.Link},
		{w.Token, d.Link[strings.LastIndexByte(d.Link, '/')+1:]},
		{w.Code, l.Code}, // without a space, as it may be pasted into an app
		{w.Login, d.Login},
	} {
		if p[0] != "" {
			pairs = append(pairs, spell(p[0]), show(p[1]))
		}
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

func verbatim(s string) string { return s }

// anchor returns what shows a value within text, and our link as a link.
func anchor(link string) func(string) string {
	return func(value string) string {
		value = html.EscapeString(value)
		if value != html.EscapeString(link) {
			return value
		}
		return `<a class="link" href="` + value + `" style="color: #1a56c4; word-break: break-all;">` + value + `</a>`
	}
}

// paragraphs makes HTML of text that is escaped. Line breaks are elements, as
// not every mail reader knows of white-space.
func paragraphs(escaped string) htmltemplate.HTML {
	var b strings.Builder
	for p := range strings.SplitSeq(escaped, "\n\n") {
		b.WriteString(`<p lang="" dir="auto" style="margin: 0 0 16px; overflow-wrap: anywhere; word-break: break-word;">`)
		b.WriteString(strings.ReplaceAll(p, "\n", "<br>\n"))
		b.WriteString("</p>\n")
	}
	return htmltemplate.HTML(b.String())
}

// isDocument tells whether markup brings a page of its own.
func isDocument(markup string) bool {
	folded := reset.Fold(markup)
	return strings.Contains(folded, "<html") || strings.Contains(folded, "<body")
}

// insert puts a block at the end of a document's body.
func insert(document, block string) string {
	// Folded in ASCII alone, each byte stays where it is.
	at := strings.LastIndex(reset.Fold(document), "</body")
	if at < 0 {
		return document + block
	}
	return document[:at] + block + document[at:]
}

// plain returns text with line feeds alone at the ends of lines, without other
// controls, and with one empty line at most in a row: many would push what
// stands below out of sight. It takes nothing away that can be seen.
func plain(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsSpace(r) && !unicode.Is(unicode.Zs, r): // every kind of line end
			return '\n'
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	lines := strings.Split(s, "\n")
	for n, line := range lines {
		lines[n] = strings.TrimRightFunc(line, unicode.IsSpace)
	}
	empty := func(a, b string) bool { return a == "" && b == "" }
	return strings.Trim(strings.Join(slices.CompactFunc(lines, empty), "\n"), "\n")
}

// foreign drops marks that turn the direction of the text around them
// (CVE-2021-42574): a caller's words must not reach beyond themselves.
func foreign(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
}

// foreignSubject returns what of a caller's subject fits a header. It takes
// nothing away that can be seen: what stands around it could become a link.
func foreignSubject(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case !unicode.IsPrint(r) && !unicode.IsSpace(r):
			return -1
		}
		return r
	}, s)
	// A reader would decode what looks like an encoded word (RFC 2047) into
	// what no check has seen.
	s = strings.ReplaceAll(s, "=?", "= ?")
	return reset.PlainText(s, maxSubject)
}

func holds(s, placeholder string) bool { return placeholder != "" && strings.Contains(s, placeholder) }

// holdsLink tells whether a text holds a link of ours so that mail readers
// know where it ends.
func holdsLink(text, link string) bool {
	for word := range strings.FieldsSeq(text) {
		if strings.Trim(word, `<>()[]"'.,;:!?`) == link {
			return true
		}
	}
	return false
}

// holdsCode tells whether a text holds a code that nothing has grown together
// with.
func holdsCode(text, code string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	return slices.Contains(words, code)
}
