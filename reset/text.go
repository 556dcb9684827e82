package reset

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxDetail bounds what a person is shown of the app's own words, in code
// points.
const MaxDetail = 500

// PlainText makes foreign text fit to be shown or logged: one line of valid
// UTF-8 without controls and without marks that turn the direction of the text
// around it (CVE-2021-42574), runs of space as one, at most limit code points
// long. It still has to be escaped for the place that it goes to.
func PlainText(s string, limit int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = n > 0
			continue
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == utf8.RuneError:
			continue
		}
		need := 1
		if space {
			need = 2
		}
		if n+need > limit {
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		n += need
		b.WriteRune(r)
	}
	return b.String()
}
