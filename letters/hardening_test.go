package letters_test

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// TestHostileNames holds that a stranger's text is neither a header, nor
// markup, nor a link.
func TestHostileNames(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
	}{
		{"plain", "Alice", "Hello Alice,"},
		{"initials", "J.R. Tolkien", "Hello J.R. Tolkien,"},
		{"dotted", "Alice.Smith", "Hello Alice.Smith,"},
		{"apostrophe", "Miles O'Brien", "Hello Miles O'Brien,"},
		{"spaces", "  Alice \t\n Liddell ", "Hello Alice Liddell,"},
		{"empty", "", "Hello,"},
		{"only invisible", "\u200b\u3164\ufe0f", "Hello,"},
		{"header", "A\r\nBcc: evil@evil.test", "Hello,"},
		{"header without address", "A\r\nX-Y; z", "Hello A X-Y; z,"},
		{"NUL", "A\x00B", "Hello AB,"},
		{"encoded word", "=?utf-8?q?evil=2Ecom?=", "Hello,"},
		{"not UTF-8", "A\xffB", "Hello AB,"},
		{"bidi override", "A\u202eecilA", "Hello AecilA,"},
		{"markup", "<b>x</b>", "Hello,"},
		{"entity", "&lt;b&gt;", "Hello &lt;b&gt;,"},
		{"template", "{{.Link}}{link_ttl}", "Hello {{.Link}}{link_ttl},"},
		{"URL", "http://evil", "Hello,"},
		{"domain", "evil.com", "Hello,"},
		{"domain in capitals", "EVIL.COM", "Hello,"},
		{"domain in a sentence", "Click (evil.com), now", "Hello,"},
		{"subdomain of a private suffix", "evil.github.io", "Hello,"},
		{"www", "www.evil", "Hello,"},
		{"address", "evil@evil", "Hello,"},
		{"scheme", "tel:0900123456", "Hello,"},
		{"full-width dot", "evil．com", "Hello,"},
		{"ideographic dot", "evil。com", "Hello,"},
		{"full-width slash", "evil／x", "Hello,"},
		{"one-dot leader", "evil\u2024com", "Hello,"},
		{"hidden dot", "evil\u200b.\u200bcom", "Hello,"},
		{"IDN", "bücher.рф", "Hello,"},
		{"65 characters", strings.Repeat("x", 65), "Hello " + strings.Repeat("x", 64) + ","},
		{"100 kB", strings.Repeat("Ж", 50_000), "Hello " + strings.Repeat("Ж", 64) + ","},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := letter(reset.LetterReset)
			l.To.Name, l.To.Login = tt.in, tt.in
			h, text, markup := parts(t, compose(t, options(), l))
			visible, _ := page(t, markup)
			if got, _, _ := strings.Cut(text, "\n"); got != tt.want {
				t.Errorf("text begins %q, want %q", got, tt.want)
			}
			if !strings.HasPrefix(visible, tt.want) {
				t.Errorf("HTML begins %.100q, want %q", visible, tt.want)
			}
			if len(h) > 11 || h.Get("Bcc") != "" || h.Get("X-Y") != "" {
				t.Errorf("header %v", h)
			}
			to, err := h.AddressList("To")
			if err != nil || len(to) != 1 || to[0].Address != "alice@example.org" {
				t.Errorf("To: %v, %v", to, err)
			}
		})
	}
}

func TestHostileLetters(t *testing.T) {
	c, err := letters.New(options())
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*reset.Letter){
		"no address":         func(l *reset.Letter) { l.To.Email = "" },
		"two addresses":      func(l *reset.Letter) { l.To.Email = "a@example.com,b@example.com" },
		"header in address":  func(l *reset.Letter) { l.To.Email = "a@example.com\r\nBcc: b@example.com" },
		"quoted local part":  func(l *reset.Letter) { l.To.Email = `"evil@evil.test> NOTIFY=NEVER "@app.test` },
		"no message id":      func(l *reset.Letter) { l.MessageID = "" },
		"hostile message id": func(l *reset.Letter) { l.MessageID = "x>\r\nBcc: <b" },
		"no reference":       func(l *reset.Letter) { l.Reference = "" },
		"hostile reference":  func(l *reset.Letter) { l.Reference = "a\r\nb" },
		"no link":            func(l *reset.Letter) { l.Link = "" },
		"no cancel link":     func(l *reset.Letter) { l.CancelLink = "" },
		"relative link":      func(l *reset.Letter) { l.Link = "/x" },
		"script link":        func(l *reset.Letter) { l.Link = "javascript:alert(1)" },
		"link with newline":  func(l *reset.Letter) { l.Link += "\r\nx" },
		"link with space":    func(l *reset.Letter) { l.Link += " x" },
		"link with quote":    func(l *reset.Letter) { l.Link += `"onclick=x` },
		"endless link":       func(l *reset.Letter) { l.Link += strings.Repeat("x", 3000) },
		"short code":         func(l *reset.Letter) { l.Code = "1234" },
		"code of letters":    func(l *reset.Letter) { l.Code = "1234567x" },
		"unknown kind":       func(l *reset.Letter) { l.Kind = "spam" },
	} {
		t.Run(name, func(t *testing.T) {
			l := letter(reset.LetterReset)
			edit(&l)
			m, err := c.Compose(l)
			if err == nil || m.Data != nil || m.To != "" {
				t.Fatalf("composed %+v", m)
			}
			for _, secret := range []string{token, "12345678", "example.org", "NOTIFY", "Bcc"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error holds %q: %v", secret, err)
				}
			}
		})
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("Alice", "alice", "alice@example.org", "de")
	f.Add("A\r\nBcc: x@y.zz", "{{.Link}}", "пошта@example.org", "../../etc")
	f.Add("\u202e<script>", "evil.com", "a@b.cc", strings.Repeat("en-", 100))
	c, err := letters.New(options())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, login, email, locale string) {
		l := letter(reset.LetterReset)
		l.To = reset.Account{Name: name, Login: login, Email: email, Locale: locale}
		m, err := c.Compose(l)
		if err != nil {
			if reset.ValidAddress(email) == nil {
				t.Errorf("composing for a valid address: %v", err)
			}
			return
		}
		head, body, _ := bytes.Cut(m.Data, []byte("\r\n\r\n"))
		if bytes.ContainsAny(bytes.ReplaceAll(m.Data, []byte("\r\n"), nil), "\r\n\x00") {
			t.Error("bare CR, LF or NUL")
		}
		if strings.ContainsFunc(string(body), func(r rune) bool { return r >= utf8.RuneSelf }) {
			t.Error("body is not 7-bit")
		}
		msg, err := mail.ReadMessage(bytes.NewReader(m.Data))
		if err != nil || len(msg.Header) != 11 {
			t.Fatalf("%v, header:\n%s", err, head)
		}
		if to, err := msg.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != m.To {
			t.Errorf("To %q: %v, %v", msg.Header.Get("To"), to, err)
		}
	})
}
