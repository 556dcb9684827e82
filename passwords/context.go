package passwords

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// shortestWord is the shortest word that is looked for: initials are in
	// every password.
	shortestWord = 3
	// mostWords bounds the work for a name of very many parts.
	mostWords = 64
)

// contextWords returns what can be made of texts like "Alice Smith" and
// "alice.smith7@mail.example.com": the whole, both sides of the @, the parts,
// the parts without their digits, the parts in one. The longest come first.
func contextWords(texts []string) []string {
	var words []string
	for _, text := range texts {
		text = fold(text)
		words = append(words, text)
		for side := range strings.SplitSeq(text, "@") {
			parts := strings.FieldsFunc(side, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			words = append(words, side, strings.Join(parts, ""))
			words = append(words, parts...)
			words = append(words, strings.FieldsFunc(side, func(r rune) bool { return !unicode.IsLetter(r) })...)
		}
	}
	words = slices.DeleteFunc(words, func(w string) bool { return utf8.RuneCountInString(w) < shortestWord })
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	words = slices.Compact(words)
	return words[:min(len(words), mostWords)]
}

// without returns s without the words in it, and whether there were any.
func without(s string, words []string) (rest string, found bool) {
	// The mark, which is in no password, keeps what stood around a word from
	// making another one.
	const mark = "\x00"
	rest = s
	for _, w := range words {
		rest = strings.ReplaceAll(rest, w, mark)
	}
	return strings.ReplaceAll(rest, mark, ""), rest != s
}
