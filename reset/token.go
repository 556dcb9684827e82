package reset

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"
)

const (
	verifierSize = 32                          // 256 random bits
	tokenLength  = (16 + verifierSize) * 4 / 3 // 64 characters, no padding, no spare bits
	codeDigits   = 8
)

// A token is what a link carries: the id of a grant, to find it by, and a
// verifier that only the mail holds. The store knows the verifier's SHA-256;
// with 256 random bits it needs neither salt nor a slow hash.
type token struct {
	grant    id
	verifier [verifierSize]byte
}

func newToken(grant id) token {
	t := token{grant: grant}
	rand.Read(t.verifier[:])
	return t
}

// parseToken reads a token in its one canonical spelling. 48 bytes fill 64
// characters without spare bits, so no two spellings mean the same token.
func parseToken(s string) (token, error) {
	var raw [16 + verifierSize]byte
	if len(s) != tokenLength || strings.ContainsAny(s, "\r\n") { // the decoder skips line ends
		return token{}, ErrGrant
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(s)); err != nil || n != len(raw) {
		return token{}, ErrGrant
	}
	var t token
	copy(t.grant[:], raw[:16])
	copy(t.verifier[:], raw[16:])
	return t, nil
}

// String returns the token as it stands in a link. It must never be logged.
func (t token) String() string {
	return base64.RawURLEncoding.EncodeToString(append(t.grant[:], t.verifier[:]...))
}

// hash returns the stored form of the verifier.
func (t token) hash() []byte {
	h := sha256.Sum256(t.verifier[:])
	return h[:]
}

// matches compares with a stored hash in constant time.
func (t token) matches(hash []byte) bool {
	return subtle.ConstantTimeCompare(t.hash(), hash) == 1
}

// newCode returns eight uniform decimal digits.
func newCode() string {
	return fmt.Sprintf("%0*d", codeDigits, randomBelow(100_000_000))
}

// parseCode takes a code as a person may type it from "1234 5678": ASCII
// spaces and hyphens are ignored. Anything else than eight ASCII digits is
// not a code; it is never compared loosely.
func parseCode(s string) (string, bool) {
	if len(s) > 64 {
		return "", false
	}
	s = strings.NewReplacer(" ", "", "-", "").Replace(s)
	if len(s) != codeDigits {
		return "", false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return "", false
		}
	}
	return s, true
}

func randomBelow(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic("reset: no randomness: " + err.Error())
	}
	return int(v.Int64())
}

// maxLogin is how many code points a login may have: the longest address that
// SMTP can carry (RFC 5321 section 4.5.3.1.3, less the angle brackets).
const maxLogin = 254

// cleanLogin checks what was typed. It repairs nothing but ASCII space at the
// ends, which phones add.
func cleanLogin(s string) (string, error) {
	s = strings.Trim(s, " \t")
	if s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxLogin {
		return "", ErrLogin
	}
	for _, r := range s {
		// Controls and line separators have no place in a login; elsewhere
		// they would split a log line or a header.
		if r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 {
			return "", ErrLogin
		}
	}
	return s, nil
}

// fold makes logins comparable: only ASCII letters lose their case. Unicode
// folding would join different accounts (the Kelvin sign with k, as in
// CVE-2019-19844).
func fold(s string) string {
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
	masked := maskWord(local)
	if isAddress {
		masked += "@" + maskWord(domain)
		if dot := strings.LastIndexByte(domain, '.'); dot > 0 {
			masked = maskWord(local) + "@" + maskWord(domain[:dot]) + domain[dot:]
		}
	}
	return masked
}

// maskWord keeps the first letter; the dots do not tell the length.
func maskWord(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	if s == "" {
		return "•••"
	}
	return string(r) + "•••"
}
