package reset

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	mathrand "math/rand/v2"
	"strings"
)

const (
	verifierSize = 32                          // 256 random bits
	tokenLength  = (16 + verifierSize) * 4 / 3 // 64 characters, no padding, no spare bits
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

// randomBelow returns a number from 0 to n-1, each as likely as the others.
func randomBelow[N ~int | ~int64](n N) N {
	return N(mathrand.New(secure{}).Int64N(int64(n)))
}

// secure is a source whose numbers nobody can foretell.
type secure struct{}

func (secure) Uint64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.NativeEndian.Uint64(b[:])
}
