package reset

import (
	"errors"
	"strings"
	"unicode/utf8"
)

const (
	// MaxAccounts is how many accounts one login may stand for; each gets a
	// mail of its own.
	MaxAccounts = 5

	maxAccountID = 128 // bytes

	// maxLogin is how many code points a login may have: the longest address
	// that SMTP can carry (RFC 5321 section 4.5.3.1.3, less the angle
	// brackets).
	maxLogin = 254
)

// An Account is what a directory knows of a person. Mail goes only to this
// Email, never to what somebody typed.
type Account struct {
	ID     string `json:"id"`
	Login  string `json:"login"`
	Email  string `json:"email"`
	Name   string `json:"name,omitempty"`
	Locale string `json:"locale,omitempty"`
}

// Check holds what a directory returned to the same rules as typed input. Its
// errors quote nothing.
func (a Account) Check() error {
	if a.ID == "" || len(a.ID) > maxAccountID || !utf8.ValidString(a.ID) || strings.ContainsFunc(a.ID, isBreak) {
		return errors.New("its id is empty, longer than 128 bytes, or no plain text")
	}
	if login, err := cleanLogin(a.Login); err != nil || login != a.Login {
		return errors.New("its login is empty, longer than 254 characters, or no plain text")
	}
	if err := ValidAddress(a.Email); err != nil {
		return errors.New("its address is not one that mail can go to")
	}
	return nil
}

// cleanLogin checks what was typed. It repairs nothing but ASCII space at the
// ends, which phones add.
func cleanLogin(s string) (string, error) {
	s = strings.Trim(s, " \t")
	if s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxLogin || strings.ContainsFunc(s, isBreak) {
		return "", ErrLogin
	}
	return s, nil
}

// isBreak reports whether r has no place in a name: controls and line
// separators would split a log line or a header.
func isBreak(r rune) bool {
	return r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029
}

// Fold makes logins comparable: only ASCII letters lose their case. Unicode
// folding would join different accounts (the Kelvin sign with k, as in
// CVE-2019-19844).
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

// mask leaves as much of a login as its owner needs to recognise it.
func mask(login string) string {
	local, domain, isAddress := strings.Cut(login, "@")
	if !isAddress {
		return maskWord(login)
	}
	host, top := domain, ""
	if dot := strings.LastIndexByte(domain, '.'); dot > 0 {
		host, top = domain[:dot], domain[dot:]
	}
	return maskWord(local) + "@" + maskWord(host) + top
}

// maskWord keeps the first letter; the dots do not tell the length.
func maskWord(s string) string {
	if s == "" {
		return "•••"
	}
	r, _ := utf8.DecodeRuneInString(s)
	return string(r) + "•••"
}
