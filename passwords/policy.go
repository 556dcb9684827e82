// Package passwords says whether a new password is acceptable, after NIST
// SP 800-63B-4, section 3.1.1.2: long enough, not common, not what an attacker
// who knows the account would try first. There are no composition rules.
//
// Lengths are counted, and comparisons made, on a folded NFC copy. The package
// never changes, keeps or logs a password: the caller forwards the bytes that
// were typed, because the app's login will hash the bytes that it gets.
//
// It also makes the hashes that an app may ask for in place of the password.
// Everything here may be used from several goroutines at once.
package passwords

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds and defaults of [Options].
const (
	// DefaultMinLength is what NIST SP 800-63B-4 asks of a password that is
	// the only factor.
	DefaultMinLength = 15
	// LeastMinLength is what it asks of one that is used with a second factor.
	LeastMinLength = 8
	// DefaultMaxLength leaves room for any passphrase.
	DefaultMaxLength = 128
	// LeastMaxLength is the length that has to be permitted.
	LeastMaxLength = 64
	// DefaultMaxBytes is DefaultMaxLength of the longest UTF-8 sequences.
	DefaultMaxBytes = 512
	// MostMaxBytes keeps a password within one record of a queue and one body
	// of a webhook.
	MostMaxBytes = 4096
)

// Options are the rules of one site. The zero value is the recommended set.
type Options struct {
	// MinLength is the shortest password, in code points: at least 8, by
	// default 15.
	MinLength int
	// MaxLength is the longest password, in code points: at least 64, by
	// default 128.
	MaxLength int
	// MaxBytes is the longest password in bytes of UTF-8: 64 to 4096, by
	// default 512. Set it to [BcryptMaxBytes] where the app uses bcrypt.
	MaxBytes int
	// Blocklist holds the operator's own words, see [LoadBlocklist].
	Blocklist []string
	// Site holds words that name the site: its name and its host. Their parts
	// are taken from them.
	Site []string
}

// A Policy judges passwords by the rules of one site.
type Policy struct {
	rules  Rules
	enough int // how much of a password must be its own, see around
	common set // compiled in
	own    set // the operator's words
	site   []string
}

// New returns the policy for o. It fails for rules that NIST does not allow.
// The first call reads the list of common passwords, some ten milliseconds.
func New(o Options) (*Policy, error) {
	r := Rules{MinLength: o.MinLength, MaxLength: o.MaxLength, MaxBytes: o.MaxBytes}
	if r.MinLength == 0 {
		r.MinLength = DefaultMinLength
	}
	if r.MaxLength == 0 {
		r.MaxLength = DefaultMaxLength
	}
	if r.MaxBytes == 0 {
		r.MaxBytes = DefaultMaxBytes
	}
	switch {
	case r.MinLength < LeastMinLength:
		return nil, fmt.Errorf("minimal length %d is below %d; NIST SP 800-63B-4 asks for 15, or 8 beside a second factor", r.MinLength, LeastMinLength)
	case r.MaxLength < LeastMaxLength:
		return nil, fmt.Errorf("maximal length %d is below %d, which has to be permitted (NIST SP 800-63B-4)", r.MaxLength, LeastMaxLength)
	case r.MaxBytes < LeastMaxLength || r.MaxBytes > MostMaxBytes:
		return nil, fmt.Errorf("maximal size of %d bytes is not within %d to %d", r.MaxBytes, LeastMaxLength, MostMaxBytes)
	}
	// A code point takes a byte at least: what a form is told to let through
	// must not be refused afterwards.
	r.MaxLength = min(r.MaxLength, r.MaxBytes)
	if r.MinLength > r.MaxLength {
		return nil, fmt.Errorf("minimal length %d is above the maximal length %d", r.MinLength, r.MaxLength)
	}

	common, err := commonPasswords()
	if err != nil {
		return nil, fmt.Errorf("reading list of common passwords: %w", err)
	}
	own := make(set, len(o.Blocklist))
	for _, w := range o.Blocklist {
		own.add(fold(w))
	}
	return &Policy{
		rules:  r,
		enough: (r.MinLength + 1) / 2,
		common: common,
		own:    own,
		site:   o.Site,
	}, nil
}

// Rules returns what has to be known before a password is chosen.
func (p *Policy) Rules() Rules { return p.rules }

// Check says why password is not acceptable, always in the order of the codes
// in this package and at most one of [NotText], [Common] and [Expected], or
// returns nil. About holds what an attacker would try
// first: login, address and name of the account.
//
// [Common] is a password that is listed, that repeats itself, that runs along
// the alphabet, the digits or the keyboard, or that is one listed word with
// trifles around it. [Expected] is the same with a word of about or of the
// site. A password that merely contains such words passes: the comparison is
// with the whole of it, as NIST wants.
func (p *Policy) Check(password string, about []string) []Reason {
	// Before anything reads it: hashing or scanning a megabyte for anybody who
	// sends one has been a denial of service elsewhere (CVE-2013-1443).
	if len(password) > p.rules.MaxBytes {
		return []Reason{{Code: TooLong, Limit: p.rules.MaxBytes, Bytes: true}}
	}
	if !utf8.ValidString(password) {
		return []Reason{{Code: NotText}}
	}

	folded := fold(password)
	var reasons []Reason
	switch n := utf8.RuneCountInString(folded); {
	case n < p.rules.MinLength:
		reasons = append(reasons, Reason{Code: TooShort, Limit: p.rules.MinLength})
	case n > p.rules.MaxLength:
		reasons = append(reasons, Reason{Code: TooLong, Limit: p.rules.MaxLength})
	}
	for _, r := range password {
		if unicode.IsControl(r) {
			return append(reasons, Reason{Code: NotText})
		}
	}
	if folded == "" {
		return reasons
	}
	plain := unleet(folded)
	words := contextWords(append(slices.Clone(p.site), about...))
	switch {
	// Many names are common passwords too; that it is one's own says more.
	case p.isExpected(folded, words) || plain != folded && p.isExpected(plain, words):
		return append(reasons, Reason{Code: Expected})
	case p.isCommon(folded) || plain != folded && p.isCommon(plain):
		return append(reasons, Reason{Code: Common})
	}
	return reasons
}

// isCommon reports whether s is listed or made of hardly anything.
func (p *Policy) isCommon(s string) bool {
	if p.listed(s) {
		return true
	}
	rs := []rune(s)
	if steps(rs) <= (len(rs)+3)/4 {
		return true
	}
	// One and a half turns are a repetition: people stop typing when the form
	// is content.
	if d := period(rs); 3*d <= 2*len(rs) && (d < LeastMinLength || p.isCommon(string(rs[:d]))) {
		return true
	}
	return p.around(rs)
}

// around reports whether the letters of rs are one listed word, once or
// several times, and all else is so little that the word is the password:
// "Password2024!", "monkey-monkey 123456789". What counts for enough is half
// of the minimal length, runs counted once.
func (p *Policy) around(rs []rune) bool {
	word, rest := "", make([]rune, 0, len(rs))
	for i := 0; i < len(rs); {
		j := i
		for j < len(rs) && unicode.IsLetter(rs[j]) {
			j++
		}
		if j == i {
			rest = append(rest, rs[i])
			i++
			continue
		}
		w := rs[i:j]
		if d := period(w); len(w)%d == 0 {
			w = w[:d]
		}
		if word != "" && word != string(w) {
			return false
		}
		word, i = string(w), j
	}
	return word != "" && p.listed(word) && steps(rest) < p.enough
}

// isExpected reports whether s without the words is nothing much.
func (p *Policy) isExpected(s string, words []string) bool {
	rest, found := without(s, words)
	return found && (steps([]rune(rest)) < p.enough || p.isCommon(rest))
}

func (p *Policy) listed(s string) bool { return p.common.has(s) || p.own.has(s) }

// fold returns s in NFC and with ASCII letters in lower case. Other case
// mappings depend on the language and are left alone.
func fold(s string) string {
	b := norm.NFC.Bytes([]byte(s))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
