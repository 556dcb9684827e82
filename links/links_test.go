package links_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/links"
)

const origin = "https://app.example.com"

func TestVisible(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Alice Liddell", "Alice Liddell"},
		{"line ends", "a\nb\tc", "a\nb\tc"},
		{"zero-width", "e\u200bv\u200di\u2060l\ufeff", "evil"},
		{"soft hyphen", "ev\u00adil", "evil"},
		{"direction", "\u202eevil\u2069", "evil"},
		{"fillers", "\u3164\uffa0\u115f", ""},
		{"variation selector", "a\ufe0f", "a"},
		{"tags", "a\U000e0061", "a"},
		{"controls", "a\x00\x7fb", "ab"},
		{"emoji", "🎉", "🎉"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := links.Visible(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestLike(t *testing.T) {
	for text, want := range map[string]bool{
		"":                    false,
		"Alice":               false,
		"J.R. Tolkien":        false,
		"alice.smith":         false,
		"Maria.de.Souza":      true, // to a reader that stops at .de
		"Miles O'Brien":       false,
		"Jean-Luc":            false,
		"王小明":                 false,
		"3.5":                 false,
		"evil.com":            true,
		"EVIL.COM":            true,
		"evil.com.":           true,
		"evil..com":           false, // no reader takes two dots
		"(evil.com)":          true,
		"evil.com_x":          true,
		"evil.github.io":      true,
		"evil.co.uk":          true,
		"evil.ck":             true,
		"www.evil":            true,
		"WWW.evil":            true,
		"evil@evil":           true,
		"tel:0900":            true,
		"evil/x":              true,
		`evil\x`:              true,
		"<b>":                 true,
		"evil．com":            true,
		"evil。com":            true,
		"evil｡com":            true,
		"evil\u2024com":       true,
		"ｅｖｉｌ．ｃｏｍ":            true,
		"evil／x":              true,
		"пример.рф":           true,
		"ПРИМЕР.РФ":           true,
		"bücher.рф":           true,
		"xn--80ak6aa92e":      true,
		"192.0.2.1":           true,
		"evil.xn--p1ai":       true,
		"evil.\u0441\u043em":  false, // no such top level
		"call me maybe.later": false,
		"evil.com™":           true,
		"evil.com①":           true,
		"evil.com²":           true,
		"evil.com中文":          true,
		"evil.com-x":          true,
		"evil.com.x":          true,
		"www.%65vil%2ecom":    true,
	} {
		t.Run(text, func(t *testing.T) {
			if got := links.Like(text); got != want {
				t.Errorf("Like(%q) = %v", text, got)
			}
		})
	}
}

// FuzzLike holds that a name in which a mail reader finds a link is not shown,
// and that what nobody sees changes nothing about it.
func FuzzLike(f *testing.F) {
	for _, s := range slices.Concat(harmless, harmful) {
		f.Add(s, 3)
	}
	f.Add("J.R. Tolkien", 1)
	f.Fuzz(func(t *testing.T, s string, at int) {
		s = strings.ToValidUTF8(s, "?")
		shown := links.Visible(s)
		if links.Visible(shown) != shown || !utf8.ValidString(shown) || utf8.RuneCountInString(shown) > utf8.RuneCountInString(s) {
			t.Errorf("%q is seen as %q", s, shown)
		}
		if links.Like(shown) {
			return
		}
		for _, reader := range readers {
			if link := reader.FindString(shown); link != "" {
				t.Errorf("%q passes, and %q is a link", shown, link)
			}
		}
		runes := []rune(shown)
		if len(runes) == 0 {
			return
		}
		n := int(uint(at) % uint(len(runes)))
		hidden := string(runes[:n]) + "\u200b\u00ad" + string(runes[n:])
		if links.Visible(hidden) != shown {
			t.Errorf("%q is seen as %q", hidden, links.Visible(hidden))
		}
	})
}
