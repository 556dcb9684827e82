// Package links finds in foreign text what a mail reader could make a link of.
// Such text stands in a mail from the operator's address: a link in it would
// lead wherever a stranger likes.
//
// It goes by what readers are known to do: they make links of addresses, of
// anything with a scheme, of two slashes and of bare domains, and they do not
// agree on where one begins and ends. Text is therefore judged in each form in
// which one of them might read it, and what is in doubt is a link. What a person
// would have to type by hand (evil[.]com, "evil dot com") and telephone numbers
// are none.
package links

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// maxLabel is the length of the longest label of a domain (RFC 1035 section
// 2.3.4). What is longer is not worth the work of converting it.
const maxLabel = 63

// Visible returns s without what nobody sees, which would hide a link: controls
// other than space, marks of direction, zero-width characters, fillers.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		if isHidden(r) {
			return -1
		}
		return r
	}, s)
}

// Like reports whether a mail reader could make a link of s or of a part of
// it: a URL, an address, a domain under a public suffix. It is for short texts
// such as names: any slash, colon or angle bracket counts. "J.R. Tolkien" and
// "alice.smith" are no links.
func Like(s string) bool {
	s = canonical(s)
	return strings.ContainsAny(s, "@/\\:<>") || hasDomain(s, lastLabel)
}

// Foreign returns the first word of a text that a mail reader could make a link
// of and that leads to anywhere else than host, or "" if there is none. It is
// for text that may be long.
//
// Host is one as in a URL, with a port if there is one. Only one spelling of a
// link to it is accepted: host, in any ASCII case, perhaps after https:// or
// http://, perhaps before a path of plain ASCII without an empty segment; space
// or punctuation around it. All mail addresses are foreign.
func Foreign(s, host string) string {
	own := spellings(host)
	for word := range strings.FieldsFuncSeq(s, unicode.IsSpace) {
		if isSuspect(word) && !leadsTo(word, own) {
			return word
		}
	}
	return ""
}

// isSuspect tells whether a reader could make a link of a part of word. One
// drops what is invisible, another takes it for the end of a word, and a third
// takes emoji for letters, as some registries do.
func isSuspect(word string) bool {
	shown := canonical(Visible(word))
	split := strings.Map(func(r rune) rune {
		if isHidden(r) {
			return ' '
		}
		return r
	}, word)
	lettered := strings.Map(func(r rune) rune {
		if r == '_' || r > unicode.MaxASCII && unicode.IsSymbol(r) {
			return 'x'
		}
		return r
	}, shown)
	return couldLink(shown) || couldLink(split) || hasDomain(lettered, anyLabel)
}

func couldLink(s string) bool {
	return hasSlashes(s) || hasAddress(s) || hasScheme(s) || hasIPv6(s) || hasDomain(s, anyLabel)
}

// hasSlashes finds what begins a host: "//evil.example", `\\server\share`, and
// `/\evil.example`, which browsers read as the first.
func hasSlashes(s string) bool {
	slash := false
	for _, c := range []byte(s) {
		if c != '/' && c != '\\' {
			slash = false
			continue
		}
		if slash {
			return true
		}
		slash = true
	}
	return false
}

// hasAddress finds an @ between two characters.
func hasAddress(s string) bool {
	for i := range len(s) {
		if s[i] == '@' && i > 0 && s[i-1] != ' ' && i+1 < len(s) && s[i+1] != ' ' {
			return true
		}
	}
	return false
}

// hasScheme finds the scheme of a URL (RFC 3986 section 3.1): readers know many
// and ask the system for more. "Code:1234" and "10:30" are none: a number after
// a colon is an address in a few schemes only.
func hasScheme(s string) bool {
	for i := range len(s) {
		if s[i] != ':' {
			continue
		}
		start := i
		for start > 0 && isSchemeByte(s[start-1]) {
			start--
		}
		scheme := lower(strings.TrimLeft(s[start:i], "0123456789+-."))
		if scheme == "" {
			continue
		}
		rest, _, _ := strings.Cut(s[i+1:], " ")
		switch scheme {
		case "http", "https", "mailto", "tel", "sms":
			if rest != "" {
				return true
			}
		default:
			if strings.ContainsFunc(rest, func(r rune) bool { return unicode.IsLetter(r) || strings.ContainsRune(`/\@`, r) }) {
				return true
			}
		}
	}
	return false
}

// hasIPv6 finds an IPv6 address, in brackets or not.
func hasIPv6(s string) bool {
	words := strings.FieldsFuncSeq(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF:.", r) })
	for word := range words {
		word = strings.TrimRight(word, ".")
		if strings.Count(word, ":") < 2 {
			continue
		}
		if _, err := netip.ParseAddr(word); err == nil {
			return true
		}
	}
	return false
}

func isSchemeByte(c byte) bool { return isAlnum(c) || c == '+' || c == '-' || c == '.' }

// hasDomain finds a domain or an IPv4 address. Ends tells whether a name may
// end with its label i.
func hasDomain(s string, ends func(labels []string, i int) bool) bool {
	words := strings.FieldsFuncSeq(s, func(r rune) bool {
		return r != '.' && r != '-' && !unicode.In(r, unicode.L, unicode.M, unicode.N)
	})
	for word := range words {
		word = strings.Trim(word, ".-")
		if strings.Contains(lower(word), "www.") {
			return true
		}
		labels := strings.Split(word, ".")
		numbers := 0
		for i, label := range labels {
			if !isNumber(label) {
				numbers = 0
			} else if numbers++; numbers == 4 {
				return true
			}
			if hasPunycode(label) || i > 0 && ends(labels, i) {
				return true
			}
		}
	}
	return false
}

// hasPunycode finds an A-label (RFC 5890 section 2.3.2.1): a name that the
// reader shows as something else.
func hasPunycode(label string) bool { return strings.HasPrefix(lower(label), "xn--") }

// lastLabel accepts a name that ends with the word.
func lastLabel(labels []string, i int) bool {
	return i == len(labels)-1 && isTop(labels[i])
}

// anyLabel accepts a name that goes on as well: a reader that looks for
// something.com finds it in something.com-x, in something.com.x and before a
// letter of another script.
func anyLabel(labels []string, i int) bool {
	label := labels[i]
	if labels[i-1] == "" {
		return false // what follows an ellipsis
	}
	if isTop(label) {
		return true
	}
	end := strings.IndexFunc(label, func(r rune) bool { return r > unicode.MaxASCII || !isAlnum(byte(r)) })
	if end > 0 {
		return isTop(label[:end])
	}
	end = strings.IndexFunc(label, func(r rune) bool { return r <= unicode.MaxASCII })
	return end > 0 && isTop(label[:end])
}

// isTop tells whether label, in any case, is a top-level domain that there is.
func isTop(label string) bool {
	if len(label) > 4*maxLabel {
		return false
	}
	ascii, err := idna.Lookup.ToASCII(label)
	if err != nil {
		return false
	}
	// An unlisted top level comes back as a suffix of one label that is not
	// ICANN's.
	suffix, icann := publicsuffix.PublicSuffix("x." + ascii)
	return icann || strings.Contains(suffix, ".")
}

// spellings returns host as it may be written: as it is, and if a label is not
// ASCII in both forms.
func spellings(host string) []string {
	host = lower(host)
	all := []string{host}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		all = append(all, ascii)
	}
	if letters, err := idna.Lookup.ToUnicode(host); err == nil {
		all = append(all, letters)
	}
	return all
}

// leadsTo tells whether a word is a link to one of the hosts, so plain that
// every reader agrees on it.
func leadsTo(word string, hosts []string) bool {
	const opening, closing = `("'<[{«“‘„‚‹「『（《【`, `)"'>]}»”’“‘›」』）》】.,;:!?、。，；：！？…`
	word = strings.TrimRight(strings.TrimLeft(word, opening), closing)
	for _, scheme := range []string{"https://", "http://"} {
		if len(word) > len(scheme) && lower(word[:len(scheme)]) == scheme {
			word = word[len(scheme):]
			break
		}
	}
	authority, path := word, ""
	if slash := strings.IndexByte(word, '/'); slash >= 0 {
		authority, path = word[:slash], word[slash:]
	}
	return authority != "" && slices.Contains(hosts, lower(authority)) && isPlainPath(path)
}

// isPlainPath tells whether path, with its query and fragment, holds nothing at
// which a reader could end one link and begin another.
func isPlainPath(path string) bool {
	for i, c := range []byte(path) {
		if !isAlnum(c) && !strings.ContainsRune("-._~/?#&=+%", rune(c)) || c == '/' && i > 0 && path[i-1] == '/' {
			return false
		}
	}
	return true
}

// canonical returns s as a reader takes it that is lenient about dots, slashes
// and width.
func canonical(s string) string {
	return strings.ReplaceAll(norm.NFKC.String(s), "。", ".")
}

// isHidden tells what nobody sees, and what is damaged and often dropped.
func isHidden(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsPrint(r) || r == utf8.RuneError ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// lower lowers ASCII letters, and only those.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
