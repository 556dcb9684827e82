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
	return strings.ContainsAny(s, `@/\:<>`) || strings.ContainsAny(canonical(s), `@/\:<>`) || isSuspect(s)
}

// Foreign reports whether a mail reader could make a link of a part of a text
// that leads to anywhere else than origin, or could be brought to do so. It is
// for text that may be long.
//
// Origin is a scheme, two slashes and a host. The one link that is accepted
// begins with it, has at most a path of letters, digits and -._~ after it, and
// stands between ASCII space, or before a full stop. Beside such a link there
// is no bracket, quotation mark or @: some readers join all that stands between
// two of them (RFC 3986 appendix C), or take what is before an @ for a user.
func Foreign(text, origin string) bool {
	var rest strings.Builder
	own := false
	for word := range strings.FieldsFuncSeq(text, isASCIISpace) {
		if isOwn(strings.TrimRight(word, ".,;:!?"), origin) {
			own, word = true, "x"
		}
		rest.WriteString(word)
		rest.WriteByte('\n')
	}
	return own && strings.ContainsAny(rest.String(), `@<>"[]‹›«»“”„`) || isSuspect(rest.String())
}

// isOwn tells whether word is a link to origin that every reader reads alike.
func isOwn(word, origin string) bool {
	if origin == "" || len(word) < len(origin) || lower(word[:len(origin)]) != lower(origin) {
		return false
	}
	path := word[len(origin):]
	for i, c := range []byte(path) {
		if !isAlnum(c) && !strings.ContainsRune("-._~/", rune(c)) || c == '/' && i > 0 && path[i-1] == '/' {
			return false
		}
	}
	return path == "" || path[0] == '/'
}

// isSuspect tells whether a reader could make a link of a part of s, in one of
// the forms in which readers take it: as it stands; without what is invisible,
// and with that as the end of a word; with full width as half; without accents;
// and with all that is no letter to one registry and a letter to another, emoji,
// characters that are newer than our tables and rare spaces, as a letter.
func isSuspect(s string) bool {
	shown := canonical(Visible(s))
	for _, form := range []string{
		s,
		shown,
		mapped(s, isHidden, ' '),
		strings.Map(func(r rune) rune {
			if unicode.Is(unicode.M, r) {
				return -1
			}
			return r
		}, shown),
		mapped(s, isLettered, 'x'),
		mapped(shown, isLettered, 'x'),
	} {
		if couldLink(form) {
			return true
		}
	}
	return false
}

func mapped(s string, is func(rune) bool, to rune) string {
	return strings.Map(func(r rune) rune {
		if is(r) {
			return to
		}
		return r
	}, s)
}

func isLettered(r rune) bool {
	return r == '_' || r > unicode.MaxASCII && !unicode.In(r, unicode.L, unicode.M, unicode.N)
}

func isASCIISpace(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == '\r' }

func couldLink(s string) bool {
	folded := lower(s)
	return strings.Contains(folded, "www.") || strings.Contains(folded, "ftp.") ||
		hasSlashes(s) || hasAddress(s) || hasScheme(s) || hasEscape(s) || hasIPv6(s) || hasDomain(s)
}

// hasEscape finds an escape of a URL: browsers decode it in a host too.
func hasEscape(s string) bool {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' && isHex(s[i+1]) && isHex(s[i+2]) {
			return true
		}
	}
	return false
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
		if s[i] == '@' && i > 0 && !isASCIISpace(rune(s[i-1])) && i+1 < len(s) && !isASCIISpace(rune(s[i+1])) {
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
		rest := s[i+1:]
		if end := strings.IndexFunc(rest, isASCIISpace); end >= 0 {
			rest = rest[:end]
		}
		switch scheme {
		case "http", "https", "ftp", "mailto", "tel", "callto", "sip", "sips", "skype", "facetime", "xmpp", "sms":
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

// hasDomain finds a domain or an IPv4 address. A name that goes on behind a top
// level counts too: a reader that looks for something.com finds it in
// something.com-x, in something.com.x and before a letter of another script.
func hasDomain(s string) bool {
	words := strings.FieldsFuncSeq(s, func(r rune) bool {
		return r != '.' && r != '-' && !unicode.In(r, unicode.L, unicode.M, unicode.N)
	})
	for word := range words {
		labels := strings.Split(strings.Trim(word, ".-"), ".")
		numbers := 0
		for i, label := range labels {
			if !isNumber(label) {
				numbers = 0
			} else if numbers++; numbers == 4 {
				return true
			}
			// Behind two dots stands what follows an ellipsis.
			if hasPunycode(label) || i > 0 && labels[i-1] != "" && beginsWithTop(label) {
				return true
			}
		}
	}
	return false
}

// hasPunycode finds an A-label (RFC 5890 section 2.3.2.1): a name that the
// reader shows as something else.
func hasPunycode(label string) bool { return strings.HasPrefix(lower(label), "xn--") }

// beginsWithTop tells whether a label is a top-level domain, or one and then
// something that is no letter of it.
func beginsWithTop(label string) bool {
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

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

// lower lowers ASCII letters, and only those.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
