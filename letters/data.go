package letters

import (
	"strings"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/links"
	"github.com/caddy-password-reset/caddy-password-reset/locales"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// maxForeign is how much of a text from the directory is shown: enough for a
// name, too little for a message of a stranger's.
const maxForeign = 64

// whenLayout reads the same in every language (RFC 3339, without the T).
const whenLayout = "2006-01-02 15:04 UTC"

// Data is what a template sees.
//
// An operator's template is a file NAME.txt (text/template) with a file
// NAME.html (html/template) beside it, where NAME is reset, changed, refused
// or failed; both say the same and both have to be there. The built-in ones in
// the folder templates of this package are the example, and what
// templates/parts.txt and templates/parts.html define may be used. A
// {{define "subject"}} in the .txt file replaces the subject; it sees Site
// and Locale only. In the text part each link stands alone on its line.
type Data struct {
	Site    string // name of the site
	Locale  string // tag of the language, for <html lang>
	Dir     string // "ltr" or "rtl"
	Contact string // address of Reply-To, or ""

	// Name and Login are the account's, at most 64 characters, free of
	// controls, bidi marks and invisible characters; "" if there is none or if
	// it looks like a link. They were chosen by whoever made the account, and a
	// mail reader makes a link of a name such as evil.com.
	Name  string
	Login string

	Reference string // of the request
	When      string // when it was asked for, or the password given or changed: 2026-01-02 03:04 UTC

	Link       string // reset: the page for the new password
	Code       string // reset: 1234 5678, or "" while the account has none
	CancelLink string // reset: "this was not me"
	LinkTTL    string // reset: life of the link, "30 minutes"
	CodeTTL    string // reset: life of the code
	AskLink    string // all others: the form to ask for a new mail

	catalog *locales.Catalog
}

// Text returns a text of the catalogue in the language of the letter, with
// its placeholders filled from the other fields.
func (d Data) Text(key string) string {
	return d.catalog.Text(key,
		"site", d.Site, "name", d.Name, "login", d.Login, "contact", d.Contact,
		"when", d.When, "reference", d.Reference, "link_ttl", d.LinkTTL, "code_ttl", d.CodeTTL)
}

func (c *Composer) data(l reset.Letter, to string) Data {
	catalog := locales.Match(l.To.Locale, c.locale)
	d := Data{
		Site:      c.siteName,
		Locale:    catalog.Tag(),
		Dir:       catalog.Dir(),
		Name:      clean(l.To.Name),
		Login:     clean(l.To.Login),
		Reference: l.Reference,
		When:      l.At.UTC().Format(whenLayout),
		AskLink:   l.AskLink,
		catalog:   catalog,
	}
	if l.To.Login == l.To.Email && utf8.RuneCountInString(to) <= maxForeign {
		d.Login = to // an address, but the reader's own
	}
	if c.replyTo != nil {
		d.Contact = c.replyTo.Address
	}
	if l.Kind == reset.LetterReset {
		d.Link, d.CancelLink = l.Link, l.CancelLink
		d.LinkTTL, d.CodeTTL = catalog.Duration(l.LinkTTL), catalog.Duration(l.CodeTTL)
		if l.Code != "" {
			d.Code = l.Code[:4] + " " + l.Code[4:]
		}
	}
	return d
}

// clean returns what of a text from the directory may be shown, or "".
func clean(s string) string {
	s = reset.PlainText(links.Visible(s), maxForeign)
	// A mail reader would decode an encoded word (RFC 2047) within a name, also
	// where it stands in quotes, and what comes out was seen by nobody.
	if links.Like(s) || strings.Contains(s, "=?") {
		return ""
	}
	return s
}
