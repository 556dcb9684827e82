package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// A Mail is one that came in.
type Mail struct {
	Number   int       // in the order of arrival, from 1
	At       time.Time // when it came in
	From, To string    // of the envelope
	Subject  string    // decoded
	Header   mail.Header
	Text     string // the text/plain part, decoded
	HTML     string // the text/html part, decoded
	Raw      []byte // all of it, as it came in
}

// Link returns the link to the page for a new password, where base is the
// address of the surface ("https://app.example.com/password-reset").
func (m Mail) Link(base string) (string, error) { return m.find("link", base+"/link/") }

// CancelLink returns the link for "this wasn't me".
func (m Mail) CancelLink(base string) (string, error) { return m.find("cancel link", base+"/cancel/") }

// codeLine matches eight digits in two groups, alone on their line.
var codeLine = regexp.MustCompile(`(?m)^[ \t]*(\d{4})(?:[ \t\x{a0}\x{202f}-]?)(\d{4})[ \t\r]*$`)

// Code returns the eight digits of the code.
func (m Mail) Code() (string, error) {
	found := codeLine.FindStringSubmatch(m.Text)
	if found == nil {
		return "", errors.New("no code in the text of the mail")
	}
	return found[1] + found[2], nil
}

func (m Mail) find(what, prefix string) (string, error) {
	link := regexp.MustCompile(regexp.QuoteMeta(prefix) + `[A-Za-z0-9_-]+`).FindString(m.Text)
	if link == "" {
		return "", fmt.Errorf("no %s in the text of the mail", what)
	}
	// Many people see this part only; "-", "_" and digits need no escaping.
	if m.HTML != "" && !strings.Contains(m.HTML, `"`+link+`"`) {
		return "", fmt.Errorf("the %s is not the same in the HTML part of the mail", what)
	}
	return link, nil
}

// parseMail reads the parts of a mail.
func parseMail(raw []byte) (Mail, error) {
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil && !message.IsUnknownCharset(err) {
		return Mail{}, fmt.Errorf("reading mail: %w", err)
	}
	m := Mail{Header: r.Header, Raw: raw}
	if m.Subject, err = r.Header.Subject(); err != nil {
		return Mail{}, fmt.Errorf("reading subject: %w", err)
	}
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil && !message.IsUnknownCharset(err) {
			return Mail{}, fmt.Errorf("reading parts: %w", err)
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			return Mail{}, fmt.Errorf("reading part: %w", err)
		}
		h, ok := part.Header.(*mail.InlineHeader)
		if !ok {
			continue // attachments are not shown
		}
		switch kind, _, _ := h.ContentType(); {
		case kind == "text/plain" && m.Text == "":
			m.Text = strings.ReplaceAll(string(body), "\r\n", "\n")
		case kind == "text/html" && m.HTML == "":
			m.HTML = strings.ReplaceAll(string(body), "\r\n", "\n")
		}
	}
}
