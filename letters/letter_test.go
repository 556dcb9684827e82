package letters_test

import (
	"bytes"
	"io"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	mimemail "github.com/emersion/go-message/mail"
	"golang.org/x/net/html"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const token = "AZq3x_9-Qm1rAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

var kinds = []reset.LetterKind{reset.LetterReset, reset.LetterChanged, reset.LetterRefused, reset.LetterFailed}

func options() letters.Options {
	return letters.Options{
		From:     "Example Support <support@example.com>",
		ReplyTo:  "help@example.com",
		SiteName: "Example",
		Host:     "app.example.com",
	}
}

func letter(kind reset.LetterKind) reset.Letter {
	l := reset.Letter{
		Kind:      kind,
		To:        reset.Account{ID: "42", Login: "alice", Email: "alice@example.org", Name: "Alice Liddell"},
		MessageID: "0Zq3x_9-Qm1r",
		Reference: "BCDF-2345",
		At:        time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("CET", 3600)),
		AskLink:   "https://app.example.com/password-reset",
	}
	if kind == reset.LetterReset {
		l.Link = "https://app.example.com/password-reset/link/" + token
		l.CancelLink = "https://app.example.com/password-reset/cancel/" + token
		l.Code = "12345678"
		l.LinkTTL = 30 * time.Minute
		l.CodeTTL = 10 * time.Minute
	}
	return l
}

func compose(t *testing.T, o letters.Options, l reset.Letter) reset.Message {
	t.Helper()
	c, err := letters.New(o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Compose(l)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parts checks the bytes on the wire and returns the decoded parts.
func parts(t *testing.T, m reset.Message) (h mail.Header, text, markup string) {
	t.Helper()
	for i, line := range strings.Split(string(m.Data), "\r\n") {
		if strings.ContainsAny(line, "\r\n") {
			t.Fatalf("line %d has a bare CR or LF: %q", i, line)
		}
		if len(line) > 76 {
			t.Errorf("line %d is %d characters long", i, len(line))
		}
	}
	std, err := mail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	mr, err := mimemail.CreateReader(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	var types, bodies []string
	for {
		p, err := mr.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		ph := p.Header.(*mimemail.InlineHeader)
		mediaType, params, _ := ph.ContentType()
		if params["charset"] != "utf-8" || ph.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Errorf("part %s: %v, %s", mediaType, params, ph.Get("Content-Transfer-Encoding"))
		}
		types = append(types, mediaType)
		bodies = append(bodies, strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	if !slices.Equal(types, []string{"text/plain", "text/html"}) {
		t.Fatalf("parts %v", types)
	}
	return std.Header, bodies[0], bodies[1]
}

// page returns the visible text of the HTML part and what it points at.
func page(t *testing.T, markup string) (text string, hrefs []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(markup))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" && n.Parent.Data != "title" {
			b.WriteString(n.Data + " ")
		}
		for _, a := range n.Attr {
			switch a.Key {
			case "href":
				hrefs = append(hrefs, a.Val)
			case "src", "srcset", "background", "action", "onclick", "onload":
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
		switch n.Data {
		case "script", "link", "img", "iframe", "form", "object", "base":
			if n.Type == html.ElementNode {
				t.Errorf("<%s>", n.Data)
			}
		}
	}
	return strings.Join(strings.Fields(b.String()), " "), hrefs
}
