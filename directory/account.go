package directory

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// The bounds of an account. What is longer is no account of a person, and
// would swell every record, mail and log line that it gets into.
const (
	maxID     = 128 // bytes
	maxLogin  = 254 // characters, as for a typed login
	maxName   = 64  // characters; a name goes into a mail, and long ones carry advertising
	maxLocale = 35  // characters (RFC 5646, section 4.4.1)
)

// checkAccount checks what identifies an account, as strictly as if somebody
// had typed it, and cleans what is for show. Its errors hold no value. The
// address is left to the caller.
func checkAccount(a *reset.Account) error {
	if err := checkID(a.ID); err != nil {
		return err
	}
	if utf8.RuneCountInString(a.Login) > maxLogin || !isText(a.Login) {
		return fmt.Errorf("login is empty, longer than %d characters or not text", maxLogin)
	}
	a.Name = reset.PlainText(a.Name, maxName)
	if !isLocale(a.Locale) {
		a.Locale = ""
	}
	return nil
}

func checkID(id string) error {
	if len(id) > maxID || !isText(id) {
		return fmt.Errorf("id is empty, longer than %d bytes or not text", maxID)
	}
	return nil
}

// isText says whether s is something, and UTF-8 without control characters. It
// takes U+FFFD for the damage that it stands for: two different ids would
// become one by it.
func isText(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError
	})
}

// isLocale says whether s can be a language tag, or a locale as in POSIX
// without its encoding. What it means is for the catalogues to find out.
func isLocale(s string) bool {
	if len(s) > maxLocale {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// A lookupError is why a lookup gave nothing, not even "unknown".
type lookupError struct {
	err   error
	alarm bool
}

func (e *lookupError) Error() string { return "looking up account: " + e.err.Error() }
func (e *lookupError) Unwrap() error { return e.err }

// Alarm says whether the operator has to mend something.
func (e *lookupError) Alarm() bool { return e.alarm }

// broken returns an error about what the app or the operator has written.
func broken(text string) error { return &lookupError{err: errors.New(text), alarm: true} }
