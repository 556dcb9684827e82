package web

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/links"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// Bounds of a client's words.
const (
	maxSubject = 200    // characters
	maxText    = 10_000 // characters
	maxLines   = 100
)

// A Start is a wish for a reset in a dialect.
type Start struct {
	Login string

	// Words is how the client wants the mail to be worded; nil: as the
	// dialect's contract says. They are ignored, and the log says so, if the
	// client is not trusted, or if they hold what a mail reader makes a link
	// of that leads elsewhere than to this site. See [WordsError].
	Words *reset.Words

	// LinkTTL is the life of the link. 0: that of the site.
	LinkTTL time.Duration

	// Reveal has a trusted client told whether a mail can be sent.
	Reveal bool
}

// A WordsError says what is wrong with the words of a client, to its developer.
//
// The mail comes to people from the operator's address. It is for a reset and
// nothing else, so that its words are plain text of at most 10,000 characters
// under a subject of at most 200, and hold the placeholder of the code where the
// contract has one.
type WordsError struct {
	Field string // subject or body
	Text  string // continues a sentence that begins with the field
}

func (e *WordsError) Error() string { return e.Field + " " + e.Text }

// Start notes that a reset is asked for, and tells what will come of it:
// [reset.Found] for every login, unless the operator has the client told more.
// Of another finding nothing comes. Who asks too often gets the same answer and
// no mail, as these clients know no other. The error may be a [*WordsError].
//
// A GET that no client of the vendor's sends, but a browser that reads ahead
// or a page of another site that embeds it, has no effect, nor has a HEAD.
func (c *Call) Start(s Start) (reset.Finding, error) {
	switch c.x.r.Method {
	case http.MethodHead:
		return reset.Found, nil
	case http.MethodGet:
		if isUnasked(c.x.r.Header) {
			c.Note("no_mail", "fetched ahead or embedded, and not asked for")
			return reset.Found, nil
		}
	}
	words, err := c.words(s.Words)
	if err != nil {
		c.x.tell("", err)
		c.Note("refused", "words of the mail")
		return reset.Found, err
	}
	if err := c.open(); err != nil {
		return reset.Found, err
	}
	r := reset.Request{
		Login: s.Login, ClientIP: c.x.ip, Trusted: c.trusted, Dialect: c.heard.name, Words: words, LinkTTL: s.LinkTTL,
	}
	if s.Reveal && c.trusted {
		found, err := c.site.Find(c.x.r.Context(), r)
		c.x.tell(OutcomeAccepted, err)
		if err != nil || found != reset.Found {
			return found, c.known(err)
		}
	}
	reference, err := c.site.Request(c.x.r.Context(), r)
	c.x.tell(OutcomeAccepted, err)
	if !s.Reveal || !c.trusted { // else only logins with an account have one
		c.x.told.Reference = reference
	}
	if _, often := errors.AsType[*reset.LimitError](err); often {
		c.Note("no_mail", "this address has asked too often")
		return reset.Found, nil
	}
	if err == nil {
		c.Note("reference", reference)
	}
	return reset.Found, c.known(err)
}

// words judges what a client wants a mail to say.
func (c *Call) words(w *reset.Words) (*reset.Words, error) {
	if w == nil {
		return nil, nil
	}
	if !c.trusted {
		c.Note("words", "ignored: the client has not shown its credential")
		return nil, nil
	}
	text := strings.ReplaceAll(w.Text, "\r\n", "\n")
	isLine := func(r rune) bool { return r == '\n' || r == '\t' }
	code := c.heard.contract.Wording.Code
	switch {
	case utf8.RuneCountInString(w.Subject) > maxSubject:
		return nil, &WordsError{"subject", "has more than 200 characters."}
	case utf8.RuneCountInString(text) > maxText:
		return nil, &WordsError{"body", "has more than 10000 characters."}
	case len(w.Subject)+len(text) > reset.MaxWords:
		return nil, &WordsError{"body", "and subject have more than 24 KiB."}
	case !utf8.ValidString(w.Subject) || strings.ContainsFunc(w.Subject, isNoText):
		return nil, &WordsError{"subject", "has a line end or another control character."}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !isLine(r) && isNoText(r) }):
		return nil, &WordsError{"body", "has a control character."}
	case strings.Count(text, "\n") > maxLines:
		// Our own part stands below, with the link that says "this wasn't me".
		return nil, &WordsError{"body", "has more than 100 lines."}
	case !strings.Contains(text, code):
		return nil, &WordsError{"body", "does not have " + code + ", which stands for the code."}
	}
	read := text
	if code != "" {
		read = strings.ReplaceAll(text, code, "00000000") // it may be what completes a link
	}
	if isDoubtful(w.Subject) || links.Foreign(w.Subject, c.x.origin) || links.Foreign(read, c.x.origin) || hasCodeInLink(text, code) {
		// The person must have a mail all the same, from clients that nobody
		// can change any more.
		c.Note("words", "ignored: they hold a link or an address that is not of this site")
		return nil, nil
	}
	return &reset.Words{Subject: w.Subject, Text: text}, nil
}

// isDoubtful tells a subject that a reader might show as another one: with an
// encoded word in it (RFC 2047), or with something that nobody sees.
func isDoubtful(subject string) bool {
	return strings.Contains(subject, "=?") || links.Visible(subject) != subject
}

// hasCodeInLink finds a code within what may be a link, which would carry it to
// the log of a server, or on from there.
func hasCodeInLink(text, code string) bool {
	if code == "" {
		return false
	}
	for word := range strings.FieldsSeq(text) {
		if strings.Contains(word, code) && strings.ContainsAny(word, "/\\") {
			return true
		}
	}
	return false
}

// isNoText tells controls, line and paragraph separators, marks that turn the
// direction of what stands beside them (CVE-2021-42574), and what was damaged on
// its way.
func isNoText(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) || r == utf8.RuneError
}

// isUnasked tells a GET that nobody asked for: a browser that fetches ahead, or
// an image, frame or link in a page of another site.
func isUnasked(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		for _, value := range h.Values(name) {
			purpose := string(fold([]byte(value)))
			if strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "prerender") || strings.Contains(purpose, "preview") {
				return true
			}
		}
	}
	switch h.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return h.Get("Sec-Fetch-Mode") != "cors"
	}
	return false
}
