package dialect

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/links"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// buddyCode is what callers write where the code is to stand.
	buddyCode = "@ResetCode"

	maxBuddySubject = 200    // characters
	maxBuddyBody    = 10_000 // characters
	maxBuddyQuote   = 60     // characters of a link that are quoted
)

// buddyWords judges what a caller wants a mail to say. Problem is what is wrong
// with it, for the developer of the client, or "".
//
// The text comes to people from the operator's address. It is for a reset and
// nothing else, so that it holds the code, and nobody can be led elsewhere by
// it: it is plain text, short, and links to host only.
func buddyWords(subject, body, host string) (words *reset.Words, problem string) {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	isLine := func(r rune) bool { return r == '\n' || r == '\t' }
	switch {
	case utf8.RuneCountInString(subject) > maxBuddySubject:
		return nil, "subject has more than 200 characters."
	case utf8.RuneCountInString(body) > maxBuddyBody:
		return nil, "body has more than 10000 characters."
	case len(subject)+len(body) > reset.MaxWords:
		return nil, "subject and body have more than 24 KiB."
	case strings.ContainsFunc(subject, isBuddyControl):
		return nil, "subject has a line end or another control character."
	case strings.ContainsFunc(body, func(r rune) bool { return !isLine(r) && isBuddyControl(r) }):
		return nil, "body has a control character."
	case !strings.Contains(body, buddyCode):
		return nil, "body does not have " + buddyCode + ", which stands for the code."
	}
	if word := links.Foreign(subject, host); word != "" {
		return nil, foreignLink("subject", word, host)
	}
	// As it will be read: the code may be what completes a link.
	const code = "00000000"
	if word := links.Foreign(strings.ReplaceAll(body, buddyCode, code), host); word != "" {
		return nil, foreignLink("body", strings.ReplaceAll(word, code, buddyCode), host)
	}
	return &reset.Words{Subject: subject, Text: body}, ""
}

func foreignLink(where, word, host string) string {
	return where + " has what a mail reader makes a link of, and it does not lead to " + host + ": " + reset.PlainText(word, maxBuddyQuote)
}

// isBuddyControl tells what is no text: controls, line and paragraph
// separators, marks that turn the direction of what stands beside them
// (CVE-2021-42574), and what was damaged on its way.
func isBuddyControl(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) || r == utf8.RuneError
}
