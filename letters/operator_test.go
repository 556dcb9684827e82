package letters_test

import (
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// FuzzWording holds that a wording of an operator's that loads makes letters
// that say all they must, whoever they go to: the link, the code, and how to
// stop it.
func FuzzWording(f *testing.F) {
	for _, s := range [][2]string{
		{"Hi $u$\n$l$", "<p>Hi $u$</p><a href=\"$l$\">x</a>"},
		{"$l$ $c$", ""},
		{"x", "<!--"},
		{"x", "<style>"},
		{"x $l$", "<div style='display:none'>"},
		{"$c$$c$", "<html><body>$c$</body></html>"},
		{"\n\n\n\n", "<p>"},
		{"x", "</body><textarea>"},
		{"-- \n$l$", "<table><tr><td>$l$"},
		{"x", "<plaintext>"},
		{"x", "<select>"},
	} {
		f.Add(s[0], s[1], "Alice")
	}
	f.Fuzz(func(t *testing.T, text, markup, name string) {
		c, err := letters.New(worded(reset.Wording{Text: text, HTML: markup, Link: "$l$", Code: "$c$", Login: "$u$"}))
		if err != nil {
			return
		}
		l := letterIn(nil)
		l.To.Name, l.To.Login = name, name
		m, err := c.Compose(l)
		if err != nil {
			t.Fatalf("%q, %q: %v", text, markup, err)
		}
		h, body, shown := parts(t, m)
		if len(h) != 11 || !strings.Contains(body, l.Link) || !strings.Contains(body, l.CancelLink) {
			t.Errorf("%q, %q: header %v, text %q", text, markup, h, body)
		}
		if !strings.Contains(shown, l.Link) || !strings.Contains(shown, l.CancelLink) {
			t.Errorf("%q, %q: HTML %q", text, markup, shown)
		}
		if code := l.Code; !strings.Contains(body, code) && !strings.Contains(body, code[:4]+" "+code[4:]) {
			t.Errorf("%q: no code in %q", text, body)
		}
	})
}
