// Package letters writes the mails: what they say, and how that becomes an
// Internet message.
//
// Every letter has a text part and an HTML part that say the same, in the
// language of the account. Nothing that the requester typed is in one. From,
// Reply-To, subject and site name come from the configuration alone; of the
// account come its address, its login and its name, and the last two only when
// they are clean (see [Data]). The HTML part loads nothing from anywhere.
//
// A reset letter of a dialect may be worded by the operator, or by a caller
// whom the dialect trusts to bring words (see [Options.Wordings]). What a
// letter has to say and such a wording does not is said below it. A caller's
// words are shown as plain text, and no link is made of anything in them; that
// they hold none is for whoever takes them to see to.
//
// A message is pure ASCII but for a recipient whose local part is not, its
// lines end in CRLF and are short, so every relay takes it unchanged and a bare
// CR or LF cannot end it early (CVE-2023-51764).
//
// A Composer keeps no state and is safe for concurrent use. It never returns
// half a message, and its errors hold no address, link or code. The caller
// gives links that are absolute and escaped, and keeps the message out of
// logs: link and code are in it.
package letters

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	mimemail "github.com/emersion/go-message/mail"

	"github.com/caddy-password-reset/caddy-password-reset/locales"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// maxSiteName keeps the subject short enough to be read on a telephone.
	maxSiteName = 64
	// maxLink leaves room for any base URL that works in practice.
	maxLink = 2000
	// maxLine is the longest header line.
	maxLine = 76
)

// Options say who writes the letters.
type Options struct {
	// From is the sender, as a bare address or with a name: Example Support
	// <support@example.com>. Its address is the envelope sender, too. Required.
	From string

	// ReplyTo is where answers go and the contact that letters name, in the
	// same form. Default: none, answers go to From.
	ReplyTo string

	// SiteName is what people call the site, at most 64 characters. Required.
	SiteName string

	// Host is the right side of each Message-ID, a domain of the operator's.
	// Default: the domain of From.
	Host string

	// DefaultLocale is the language of accounts that have none, or one that
	// there are no texts for. Default: English.
	DefaultLocale string

	// Templates holds the operator's own templates, see [Data]. Files of other
	// names than [TemplateNames] are left alone: pages may lie there too. Nil:
	// none.
	Templates fs.FS

	// Wordings are those of the dialects that the site speaks, by name. The
	// letter of a dialect that is not there, or that has no text, is worded as
	// ours, and so is one whose wording wants a code while the account has
	// none. A subject holds no placeholder: it is read where the mail itself
	// is not, and the same for everybody.
	Wordings map[string]reset.Wording
}

// A Composer writes the letters of one site. It implements [reset.Composer].
type Composer struct {
	from      *mail.Address
	replyTo   *mail.Address // nil: none
	siteName  string
	host      string
	locale    string
	templates map[reset.LetterKind]template
	wordings  map[string]reset.Wording
	addendum  template // what stands below a wording
}

// New checks the options, reads the operator's templates and tries them and
// the wordings out. Its errors say which option or dialect is wrong, or file
// and line of a template.
func New(o Options) (*Composer, error) {
	from, err := parseSender(o.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	c := &Composer{from: from, siteName: o.SiteName, host: o.Host, locale: o.DefaultLocale}
	if o.ReplyTo != "" {
		if c.replyTo, err = parseSender(o.ReplyTo); err != nil {
			return nil, fmt.Errorf("reply_to: %w", err)
		}
	}
	if c.siteName == "" || utf8.RuneCountInString(c.siteName) > maxSiteName || !printable(c.siteName) {
		return nil, fmt.Errorf("name: must be 1 to %d characters on one line", maxSiteName)
	}
	if c.host == "" {
		c.host = from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	}
	if !dotAtom(c.host) {
		return nil, fmt.Errorf("host of the message id: %q is no domain in ASCII", c.host)
	}
	if c.locale == "" {
		c.locale = "en"
	}
	if _, err := locales.Lookup(c.locale); err != nil {
		return nil, fmt.Errorf("default_locale: %w", err)
	}
	if c.templates, err = parseTemplates(o.Templates); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	if err := c.tryOut(); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	if err := c.takeWordings(o.Wordings); err != nil {
		return nil, err
	}
	return c, nil
}

// Compose writes one letter. It fails if the account's address is not valid,
// or if the letter lacks what its kind has to say.
func (c *Composer) Compose(l reset.Letter) (reset.Message, error) {
	to, err := reset.EnvelopeAddress(l.To.Email)
	if err != nil {
		return reset.Message{}, fmt.Errorf("composing letter: %w", err)
	}
	if err := check(l); err != nil {
		return reset.Message{}, fmt.Errorf("composing letter: %w", err)
	}
	data := c.data(l, to)
	said, err := c.say(l, data)
	if err != nil {
		return reset.Message{}, fmt.Errorf("composing letter: %w", err)
	}
	h := c.header(l, to, data, said.subject)
	body, err := encode(h, said.text, said.html)
	if err != nil {
		return reset.Message{}, fmt.Errorf("composing letter: %w", err)
	}
	return reset.Message{From: c.from.Address, To: to, Data: body}, nil
}

// content is what a mail says.
type content struct {
	subject, text, html string
}

// say puts a letter into words, its dialect's where it has them.
func (c *Composer) say(l reset.Letter, d Data) (content, error) {
	if w, ok := c.wordingOf(l); ok {
		// Values of this letter may make a wording too long that was not when
		// it was tried out. The person must have a mail all the same.
		if said, err := c.word(w, l, d); err == nil {
			return said, nil
		}
	}
	t, ok := c.templates[l.Kind]
	if !ok {
		return content{}, fmt.Errorf("unknown kind %q", l.Kind)
	}
	text, html, err := t.execute(d)
	if err != nil {
		// The error of a template quotes the data it failed on.
		return content{}, fmt.Errorf("template %s failed", l.Kind)
	}
	subject := t.subject(d)
	if w := c.wordings[l.Dialect]; l.Kind == reset.LetterReset && l.Words == nil && w.Text == "" && w.Subject != "" {
		subject = w.Subject // a dialect may have that and no text
	}
	if !printable(subject) {
		return content{}, errors.New("subject is not one line of text")
	}
	return content{subject, text, html}, nil
}

// header returns the fields, in the order in which they stand in the message.
func (c *Composer) header(l reset.Letter, to string, d Data, subject string) mimemail.Header {
	fields := [][2]string{
		{"Date", time.Now().UTC().Format(time.RFC1123Z)},
		{"From", c.from.String()},
		{"To", (&mail.Address{Name: d.Name, Address: to}).String()},
		{"Message-ID", "<" + l.MessageID + "@" + c.host + ">"},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Content-Language", d.Locale},
		// RFC 3834: no vacation answer for a mail that nobody wrote.
		{"Auto-Submitted", "auto-generated"},
		{"X-Auto-Response-Suppress", "All"},
	}
	if c.replyTo != nil {
		fields = append(fields, [2]string{"Reply-To", c.replyTo.String()})
	}
	var h mimemail.Header
	// A field that is added later is written earlier.
	for _, f := range slices.Backward(fields) {
		h.AddRaw(foldLine(f[0], f[1]))
	}
	return h
}

// foldLine returns a field in lines of at most 76 characters, as RFC 2047 section
// 2 wants where there are encoded words. The library gives up when the first
// word does not fit beside the name of the field.
func foldLine(key, value string) []byte {
	var b []byte
	line := key + ":"
	for word := range strings.SplitSeq(value, " ") {
		if word != "" && len(line)+1+len(word) > maxLine {
			b = append(b, line+"\r\n"...)
			line = ""
		}
		line += " " + word
	}
	return append(b, line+"\r\n"...)
}

// encode writes a multipart/alternative, text first: readers show the last
// part that they understand (RFC 2046 section 5.1.4).
func encode(h mimemail.Header, text, html string) ([]byte, error) {
	var buf bytes.Buffer
	w, err := mimemail.CreateInlineWriter(&buf, h)
	if err != nil {
		return nil, err
	}
	for _, part := range []struct{ mediaType, body string }{{"text/plain", text}, {"text/html", html}} {
		var ph mimemail.InlineHeader
		ph.SetContentType(part.mediaType, map[string]string{"charset": "utf-8"})
		ph.Set("Content-Transfer-Encoding", "quoted-printable")
		pw, err := w.CreatePart(ph)
		if err != nil {
			return nil, err
		}
		if _, err := pw.Write([]byte(part.body)); err != nil {
			return nil, err
		}
		if err := pw.Close(); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// check refuses a letter that could not do what it is for. A mail without its
// link would be a dead end, and nobody would see it but the person.
func check(l reset.Letter) error {
	if !dotAtom(l.MessageID) {
		return errors.New("message id is not an atom")
	}
	if l.Reference == "" || !printable(l.Reference) {
		return errors.New("no reference")
	}
	links := []string{l.AskLink}
	if l.Kind == reset.LetterReset {
		links = []string{l.Link, l.CancelLink}
		if l.Code != "" && (len(l.Code) != 8 || strings.Trim(l.Code, "0123456789") != "") {
			return errors.New("code is not eight digits")
		}
	}
	for _, link := range links {
		if !validLink(link) {
			return errors.New("link is missing or not an absolute URL")
		}
	}
	return nil
}

// validLink takes what survives every mail reader: printable ASCII without
// spaces, quotes or angle brackets.
func validLink(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	return ok && rest != "" && len(s) <= maxLink && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r)
	})
}

// parseSender reads an address of the operator's. Its local part is ASCII, as
// From and Reply-To have to pass relays without SMTPUTF8.
func parseSender(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address such as Support <support@example.com>", s)
	}
	if a.Address, err = reset.EnvelopeAddress(a.Address); err != nil {
		return nil, fmt.Errorf("%q: %w", s, err)
	}
	if strings.ContainsFunc(a.Address, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return nil, fmt.Errorf("%q: the part before @ must be ASCII", s)
	}
	if !printable(a.Name) {
		return nil, fmt.Errorf("%q: the name has a control character", s)
	}
	return a, nil
}

// printable reports whether s fits a header: UTF-8 on one line.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r)
	})
}

// dotAtom reports whether s may be one side of a Message-ID.
func dotAtom(s string) bool {
	return s != "" && len(s) <= 200 && strings.Trim(s, ".") == s && !strings.Contains(s, "..") &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		})
}

var _ reset.Composer = (*Composer)(nil)
