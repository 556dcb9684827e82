package reset

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Lengths of an address in octets: RFC 5321 section 4.5.3.1, and RFC 3696
// erratum 1690 for the whole.
const (
	maxAddress   = 254
	maxLocalPart = 64
	maxDomain    = 253 // of the 255 of RFC 1035, two are not written
	maxLabel     = 63
)

// ValidAddress reports what is wrong with a mail address, or nil. It accepts
// less than RFC 5321 does, on purpose:
//
//   - The local part is a dot-atom: letters, digits and !#$%&'*+-/=?^_`{|}~,
//     with single dots between. Letters and digits may be of any script (RFC
//     6531), none that is invisible. A quoted local part is refused, as it can
//     carry what ends the path of an SMTP command (CVE-2025-13033).
//   - The domain has at least two labels, in ASCII or as IDNA U-labels in their
//     only right spelling (RFC 5891). Address literals are refused, and so is a
//     last label of digits alone.
//
// There is no display name, comment, angle bracket or space. The error never
// holds the address.
func ValidAddress(s string) error {
	_, err := EnvelopeAddress(s)
	return err
}

// EnvelopeAddress returns a valid address as it goes into an SMTP envelope or
// a header: its domain in A-labels and lower case, its local part untouched.
// What it returns is ASCII unless the local part is not; then the relay has to
// offer SMTPUTF8. It returns an error where [ValidAddress] does.
func EnvelopeAddress(s string) (string, error) {
	// Length first: what follows is work in proportion to it.
	if len(s) > maxAddress {
		return "", errors.New("mail address is too long")
	}
	if !utf8.ValidString(s) {
		return "", errors.New("mail address is not UTF-8")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "", errors.New("mail address has no @")
	}
	local, domain := s[:at], s[at+1:]
	if err := checkLocalPart(local); err != nil {
		return "", err
	}
	domain, err := asciiDomain(domain)
	if err != nil {
		return "", err
	}
	if len(local)+1+len(domain) > maxAddress {
		return "", errors.New("mail address is too long")
	}
	return local + "@" + domain, nil
}

func checkLocalPart(s string) error {
	if len(s) > maxLocalPart {
		return errors.New("local part of the mail address is too long")
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return errors.New("local part of the mail address is empty or has a misplaced dot")
		}
		for _, r := range atom {
			if !atomRune(r) {
				return errors.New("local part of the mail address has a character that is not accepted")
			}
		}
	}
	return nil
}

// atomRune reports whether r may stand in an atom: atext of RFC 5322 section
// 3.2.3, and beyond ASCII letters, marks and digits that can be seen.
func atomRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
	}
	// Some letters and marks are drawn as nothing (Hangul fillers, variation
	// selectors): two addresses that look the same would be two accounts.
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// asciiDomain checks a domain and returns it in A-labels.
func asciiDomain(s string) (string, error) {
	ascii := Fold(s)
	if strings.Contains(s, "--") || strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		var err error
		if ascii, err = idna.Lookup.ToASCII(s); err != nil {
			return "", errors.New("domain of the mail address is not valid")
		}
		// The lookup profile maps before it converts: full-width letters, other
		// dots, compatibility forms. Whatever it would repair is refused.
		if back, err := idna.Lookup.ToUnicode(ascii); err != nil || (s != back && Fold(s) != back && Fold(s) != ascii) {
			return "", errors.New("domain of the mail address is not in its canonical form")
		}
	}
	labels := strings.Split(ascii, ".")
	if len(ascii) > maxDomain || len(labels) < 2 {
		return "", errors.New("domain of the mail address is too long or has no dot")
	}
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			label[0] == '-' || label[len(label)-1] == '-' {
			return "", errors.New("domain of the mail address has a label that is not valid")
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", errors.New("domain of the mail address is an IP address")
	}
	return ascii, nil
}
