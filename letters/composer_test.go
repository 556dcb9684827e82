package letters_test

import (
	"bytes"
	"mime"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func TestHeader(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := compose(t, options(), letter(kind))
			if m.From != "support@example.com" || m.To != "alice@example.org" {
				t.Errorf("envelope %s, %s", m.From, m.To)
			}
			h, _, _ := parts(t, m)
			for key, want := range map[string]string{
				"From":                     `"Example Support" <support@example.com>`,
				"To":                       `"Alice Liddell" <alice@example.org>`,
				"Reply-To":                 "<help@example.com>",
				"Message-Id":               "<0Zq3x_9-Qm1r@app.example.com>",
				"Auto-Submitted":           "auto-generated",
				"X-Auto-Response-Suppress": "All",
				"Mime-Version":             "1.0",
				"Content-Language":         "en",
			} {
				if got := h[key]; len(got) != 1 || got[0] != want {
					t.Errorf("%s: %q, want once %q", key, got, want)
				}
			}
			if d, err := h.Date(); err != nil || time.Since(d).Abs() > time.Minute {
				t.Errorf("Date: %v, %v", d, err)
			}
			for _, key := range []string{"Cc", "Bcc", "Precedence", "List-Unsubscribe", "Sender", "Return-Path", "X-Mailer"} {
				if h.Get(key) != "" {
					t.Errorf("%s: %s", key, h.Get(key))
				}
			}
			subject := h.Get("Subject")
			if !strings.Contains(subject, "Example") || strings.Contains(subject, "Alice") || strings.Contains(subject, "1234") {
				t.Errorf("Subject: %s", subject)
			}
		})
	}
}

// TestParts holds that both parts say the same, the link byte for byte.
func TestParts(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			l := letter(kind)
			m := compose(t, options(), l)
			_, text, markup := parts(t, m)
			if len(markup) > 20<<10 {
				t.Errorf("HTML part of %d bytes", len(markup))
			}
			visible, hrefs := page(t, markup)
			links := []string{l.AskLink}
			want := []string{"Hello Alice Liddell,", "2026-01-02 03:04 UTC", "Example", "Account: alice", "Reference: BCDF-2345", "help@example.com"}
			if kind == reset.LetterReset {
				links = []string{l.Link, l.CancelLink}
				want = append(want, "1234 5678", "30 minutes", "10 minutes")
			}
			for _, s := range append(want, links...) {
				if !strings.Contains(text, s) || !strings.Contains(visible, s) {
					t.Errorf("%q: in text %v, in HTML %v", s, strings.Contains(text, s), strings.Contains(visible, s))
				}
			}
			for _, link := range links {
				if !slices.Contains(strings.Split(text, "\n"), link) {
					t.Errorf("%s does not stand alone on its line", link)
				}
				if !slices.Contains(hrefs, link) {
					t.Errorf("%s is no href: %q", link, hrefs)
				}
			}
			for _, href := range hrefs {
				if !slices.Contains(links, href) {
					t.Errorf("foreign link %s", href)
				}
			}
			// Every sentence of the text part is in the HTML part, in order.
			rest := visible
			for paragraph := range strings.SplitSeq(text, "\n") {
				_, after, ok := strings.Cut(rest, paragraph)
				if !ok {
					t.Fatalf("%q is not in the HTML part, or not there", paragraph)
				}
				rest = after
			}
			if regexp.MustCompile(`\n{3,}|[{}]|<no value>`).MatchString(text) || strings.ContainsAny(visible, "{}") {
				t.Errorf("unfinished text:\n%s", text)
			}
		})
	}
}

func TestWithoutCode(t *testing.T) {
	l := letter(reset.LetterReset)
	l.Code = ""
	_, text, markup := parts(t, compose(t, options(), l))
	visible, _ := page(t, markup)
	for _, s := range []string{text, visible} {
		if strings.Contains(s, "type this code") || strings.Contains(s, "10 minutes") {
			t.Errorf("speaks of a code:\n%s", s)
		}
	}
}

func TestLogins(t *testing.T) {
	for _, tt := range []struct {
		name, login, email, want string
	}{
		{"own address", "alice@example.org", "alice@example.org", "Account: alice@example.org"},
		{"other address", "alice@evil.com", "alice@example.org", ""},
		{"dotted", "alice.smith", "alice@example.org", "Account: alice.smith"},
		{"domain", "evil.com", "alice@example.org", ""},
		{"number", "00042", "alice@example.org", "Account: 00042"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := letter(reset.LetterChanged)
			l.To.Login, l.To.Email = tt.login, tt.email
			_, text, _ := parts(t, compose(t, options(), l))
			if got := regexp.MustCompile(`Account: .*`).FindString(text); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestSameMessageID holds what lets a mail store drop a second copy.
func TestSameMessageID(t *testing.T) {
	c, _ := letters.New(options())
	a, _ := c.Compose(letter(reset.LetterReset))
	b, _ := c.Compose(letter(reset.LetterReset))
	line := regexp.MustCompile(`(?m)^Message-ID: .*$`)
	if x, y := line.Find(a.Data), line.Find(b.Data); x == nil || !bytes.Equal(x, y) {
		t.Errorf("%q, %q", x, y)
	}
}

func TestInternational(t *testing.T) {
	o := options()
	o.From = "=?utf-8?q?B=C3=BCcherei?= <post@bücher.example>"
	o.SiteName = "Stadtbücherei 北京 " + strings.Repeat("ü", 40)
	o.ReplyTo = ""
	l := letter(reset.LetterReset)
	l.To.Email = "пошта@bücher.example"
	l.To.Name = strings.Repeat("Ж", 64)
	m := compose(t, o, l)
	if m.From != "post@xn--bcher-kva.example" || m.To != "пошта@xn--bcher-kva.example" {
		t.Errorf("envelope %s, %s", m.From, m.To)
	}
	h, text, _ := parts(t, m)
	for _, word := range regexp.MustCompile(`=\?[^ \r\n]*\?=`).FindAll(m.Data, -1) {
		if len(word) > 75 {
			t.Errorf("encoded word of %d characters", len(word))
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || subject != "Reset your password for "+o.SiteName {
		t.Errorf("subject %q, %v", subject, err)
	}
	from, err := h.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Bücherei" || from[0].Address != "post@xn--bcher-kva.example" {
		t.Errorf("From %v, %v", from, err)
	}
	to, err := h.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Name != l.To.Name || to[0].Address != m.To {
		t.Errorf("To %v, %v", to, err)
	}
	if !strings.Contains(text, "Hello "+l.To.Name) {
		t.Error("name is not in the text")
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*letters.Options)
		want string
	}{
		{"no from", func(o *letters.Options) { o.From = "" }, "from: "},
		{"two from", func(o *letters.Options) { o.From = "a@example.com, b@example.com" }, "from: "},
		{"from local", func(o *letters.Options) { o.From = "root@localhost" }, "from: "},
		{"from quoted", func(o *letters.Options) { o.From = `"a> b"@example.com` }, "from: "},
		{"from UTF-8", func(o *letters.Options) { o.From = "пошта@example.com" }, "must be ASCII"},
		{"from with newline", func(o *letters.Options) { o.From = "A\r\nBcc: x@y.zz <a@example.com>" }, "from: "},
		{"from with encoded newline", func(o *letters.Options) { o.From = "=?utf-8?q?A=0D=0ABcc?= <a@example.com>" }, "from: "},
		{"reply_to", func(o *letters.Options) { o.ReplyTo = "help" }, "reply_to: "},
		{"no name", func(o *letters.Options) { o.SiteName = "" }, "name: "},
		{"long name", func(o *letters.Options) { o.SiteName = strings.Repeat("x", 65) }, "name: "},
		{"name of two lines", func(o *letters.Options) { o.SiteName = "a\r\nb" }, "name: "},
		{"host", func(o *letters.Options) { o.Host = "a b" }, "message id"},
		{"locale", func(o *letters.Options) { o.DefaultLocale = "tlh" }, "default_locale: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			tt.edit(&o)
			if _, err := letters.New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestHostDefault(t *testing.T) {
	o := options()
	o.Host = ""
	if m := compose(t, o, letter(reset.LetterReset)); !bytes.Contains(m.Data, []byte("@example.com>\r\nSubject")) {
		t.Errorf("%s", m.Data[:400])
	}
}

func BenchmarkCompose(b *testing.B) {
	c, err := letters.New(options())
	if err != nil {
		b.Fatal(err)
	}
	l := letter(reset.LetterReset)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Compose(l); err != nil {
			b.Fatal(err)
		}
	}
}
