package reset_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func TestPlainText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"text", " a digit, please ", "a digit, please"},
		{"lines", "one\ntwo\tthree\u2028four", "one two three four"},
		{"controls", "a\x00b\x1b[2Jc\u0085d", "ab[2Jc d"},
		{"direction", "abc\u202edef\u2066ghi\u200f", "abcdefghi"},
		{"not UTF-8", "a\xff\xfeb", "ab"},
		{"runs of space", "  a \t\n  b  ", "a b"},
		{"joiners of scripts stay", "می\u200cخواهم", "می\u200cخواهم"},
		{"no space at the cut", strings.Repeat("a", 499) + " b", strings.Repeat("a", 499)},
		{"just fits", strings.Repeat("a", 498) + " b", strings.Repeat("a", 498) + " b"},
		{"long", strings.Repeat("é", 600), strings.Repeat("é", 500)},
		{"markup is left to who shows it", "<b>&amp;", "<b>&amp;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reset.PlainText(tt.in, reset.MaxDetail); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzPlainText(f *testing.F) {
	f.Add("a\x00b\u202e", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := reset.PlainText(s, limit)
		if limit >= 0 && utf8.RuneCountInString(got) > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\u202e") {
			t.Errorf("%q with a limit of %d gives %q", s, limit, got)
		}
	})
}
