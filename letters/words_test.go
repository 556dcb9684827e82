package letters_test

import (
	"mime"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/links"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// called are options with a wording that callers bring.
func called() letters.Options { return worded(reset.Wording{Code: "@ResetCode"}) }

// TestWordsReplaceHTML holds that a caller's words are in both parts.
func TestWordsReplaceHTML(t *testing.T) {
	l := letterIn(&reset.Words{Text: "Code: $code$"})
	_, text, markup := parts(t, compose(t, worded(templated(templateText, templateHTML)), l))
	if !strings.HasPrefix(text, "Code: 12345678\n") || !strings.Contains(markup, ">Code: 12345678</p>") || strings.Contains(markup, "procedure") {
		t.Errorf("text:\n%s\nHTML:\n%s", text, markup)
	}
}

func TestWordsOfACaller(t *testing.T) {
	l := letterIn(&reset.Words{
		Subject: "Dein Paßwort",
		Text:    "Hallo <SuperBuddy> & Freunde,\r\n\r\ndein Code: @ResetCode\r\n(@ResetCode)\r\n@resetcode",
	})
	h, text, markup := parts(t, compose(t, called(), l))
	if subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject")); err != nil || subject != "Dein Paßwort" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if want := "Hallo <SuperBuddy> & Freunde,\n\ndein Code: 12345678\n(12345678)\n@resetcode\n\n----------\n\nInstead of entering the code"; !strings.HasPrefix(text, want) {
		t.Errorf("text:\n%s", text)
	}
	for _, want := range []string{">Hallo &lt;SuperBuddy&gt; &amp; Freunde,</p>", ">dein Code: 12345678<br>\n(12345678)<br>\n@resetcode</p>"} {
		if !strings.Contains(markup, want) {
			t.Errorf("HTML has no %q:\n%s", want, markup)
		}
	}
	complete(t, l, text, markup)
}

// TestForeignWords holds that a caller's words are no header, no markup, no
// link and no disguise of ours.
func TestForeignWords(t *testing.T) {
	const code = "\n@ResetCode"
	for _, tt := range []struct {
		name          string
		words         reset.Words
		subject, text string
	}{
		{"header", reset.Words{Subject: "a\r\nBcc: b@example.com\r\n\r\nx", Text: "x"}, "a Bcc: b@example.com x", "x"},
		{"encoded word", reset.Words{Subject: "=?utf-8?q?evil=2Ecom?=", Text: "x"}, "= ?utf-8?q?evil=2Ecom?=", "x"},
		{"controls", reset.Words{Subject: "\x00a\x1b[2J\u200d\u2066b", Text: "\x00a\x1b\u202eb\u200fc"}, "a[2Jb", "abc"},
		{"secret in the subject", reset.Words{Subject: "@ResetCode", Text: "x"}, "@ResetCode", "x"},
		{"no subject", reset.Words{Subject: " \u200b ", Text: "x"}, "Reset your password for Example", "x"},
		{"long subject", reset.Words{Subject: strings.Repeat("ab ", 100), Text: "x"}, strings.TrimSpace(strings.Repeat("ab ", 67)[:200]), "x"},
		{"not UTF-8", reset.Words{Subject: "a\xffb", Text: "a\xffb"}, "a?b", "a\uFFFDb"},
		{"what parts a domain stays", reset.Words{Subject: "evil.\uFFFDcom", Text: "evil.\uFFFDcom"}, "evil.?com", "evil.\uFFFDcom"},
		{"out of sight", reset.Words{Subject: "s", Text: "a" + strings.Repeat("\r\n \u3000\t", 5000) + "\r\nb\u2028\u2028\u2028\u2028c"}, "s", "a\n\nb\n\nc"},
		{"markup", reset.Words{Subject: "<b>", Text: "</p></body><a href='//x'>x</a><!--"}, "<b>", "</p></body><a href='//x'>x</a><!--"},
		{"template", reset.Words{Subject: "{{.Link}}", Text: "{{.Link}}{link_ttl}"}, "{{.Link}}", "{{.Link}}{link_ttl}"},
		{"our own link", reset.Words{Subject: "s", Text: "https://app.example.com/help"}, "s", "https://app.example.com/help"},
		{"SMTP", reset.Words{Subject: ".", Text: ".\r\n.\n\r.\r\nMAIL FROM:<x>"}, ".", ".\n.\n\n.\nMAIL FROM:<x>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := letterIn(&tt.words)
			l.Words.Text += code
			h, text, markup := parts(t, compose(t, called(), l))
			if subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject")); err != nil || subject != tt.subject {
				t.Errorf("subject %q, %v; want %q", subject, err, tt.subject)
			}
			if len(h) != 11 {
				t.Errorf("header %v", h)
			}
			want := tt.text + "\n12345678"
			if got, _, _ := strings.Cut(text, "\n\n----------\n\n"); got != want {
				t.Errorf("text %q, want %q", got, want)
			}
			if visible, _ := page(t, markup); !strings.HasPrefix(visible, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("HTML shows %.200q, want %q", visible, want)
			}
			complete(t, l, text, markup)
		})
	}
}

// FuzzWords holds that words without a foreign link make a letter without one:
// what is taken away from them must not join what stood apart.
func FuzzWords(f *testing.F) {
	f.Add("Subject", "Your code: @ResetCode")
	f.Add("evil.\uFFFDcom", "evil.\u202e\x01\uFFFDcom")
	f.Add("=?utf-8?q?evil=2Ecom?=", "a\u2028.\u0085com \u200b\ufe0f")
	f.Add("a\r\nBcc: x@y.zz", "</body><a href=x>\r\n.\r\n")
	const origin = "https://app.example.com"
	c, err := letters.New(called())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, subject, text string) {
		if slices.ContainsFunc(strings.Fields(subject), func(word string) bool { return len(word) > 60 }) {
			t.Skip("a line of a header is not broken within a word")
		}
		l := letterIn(&reset.Words{Subject: subject, Text: text})
		m, err := c.Compose(l)
		if err != nil {
			t.Fatal(err)
		}
		h, body, markup := parts(t, m)
		if len(h) != 11 {
			t.Errorf("header %v", h)
		}
		complete(t, l, body, markup)
		words, _, _ := strings.Cut(body, "\n\n----------\n\n")
		// Text with controls, and what is not text, is refused where it comes in.
		clean := utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) || r == utf8.RuneError })
		if clean && !links.Foreign(text, origin) && !links.Foreign(strings.ReplaceAll(text, "@ResetCode", l.Code), origin) &&
			links.Foreign(words, origin) && !strings.Contains(words, l.Link) {
			t.Errorf("%q has become a link in %q", text, words)
		}
		shown, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
		if err != nil {
			t.Error(err)
		}
		// Others are refused where they come in.
		if utf8.ValidString(subject) && links.Visible(subject) == subject && !strings.Contains(subject, "=?") &&
			!links.Foreign(subject, origin) && links.Foreign(shown, origin) {
			t.Errorf("the subject %q has become a link in %q", subject, shown)
		}
	})
}
