package web

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

const (
	cookieName    = "password-reset"
	cookiePurpose = "web cookie"
	cookieLife    = 15 * time.Minute

	// 254 characters of four bytes each, and a reference, fit in; with the
	// name and attributes the cookie stays under 4096 bytes.
	maxCookieLogin     = 1016
	maxCookieReference = 64

	// plainSize is the same for every login: the length of a cookie must not
	// tell one from another. 8 bytes are the expiry, 2 and 1 the lengths.
	plainSize = 8 + 2 + maxCookieLogin + 1 + maxCookieReference
)

// A cookieJar keeps what a person typed between asking for a mail and entering
// the code, sealed and in the browser only. It is a convenience: nothing is
// decided by it.
type cookieJar struct {
	name   string
	secure bool
}

// A note is what the cookie holds.
type note struct {
	login     string
	reference string
}

// newCookieJar names the cookie so that no subdomain and no plain http answer
// can set it (RFC 6265bis, __Host- prefix). On loopback http the prefix is not
// possible.
func newCookieJar(https bool) cookieJar {
	if https {
		return cookieJar{name: "__Host-" + cookieName, secure: true}
	}
	return cookieJar{name: cookieName}
}

// put sets the cookie.
func (j cookieJar) put(w http.ResponseWriter, key [32]byte, n note) {
	if len(n.login) > maxCookieLogin || len(n.reference) > maxCookieReference {
		n = note{}
	}
	plain := make([]byte, plainSize)
	binary.BigEndian.PutUint64(plain, uint64(time.Now().Add(cookieLife).Unix()))
	binary.BigEndian.PutUint16(plain[8:], uint16(len(n.login)))
	plain[10] = byte(len(n.reference))
	copy(plain[11:], n.login)
	copy(plain[11+maxCookieLogin:], n.reference)

	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+plainSize+chacha20poly1305.Overhead)
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	sealed := seal(key).Seal(nonce, nonce, plain, []byte(j.name))
	j.set(w, base64.RawURLEncoding.EncodeToString(sealed), int(cookieLife/time.Second))
}

// drop removes the cookie.
func (j cookieJar) drop(w http.ResponseWriter) { j.set(w, "", -1) }

// get returns what the cookie holds, nothing if there is none or more than one,
// or one that is old or not ours.
func (j cookieJar) get(r *http.Request, key [32]byte) note {
	cookies := r.CookiesNamed(j.name)
	if len(cookies) != 1 {
		return note{}
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookies[0].Value)
	if err != nil || len(sealed) != chacha20poly1305.NonceSizeX+plainSize+chacha20poly1305.Overhead {
		return note{}
	}
	nonce, sealed := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	plain, err := seal(key).Open(nil, nonce, sealed, []byte(j.name))
	if err != nil || time.Now().Unix() >= int64(binary.BigEndian.Uint64(plain)) {
		return note{}
	}
	login := plain[11 : 11+maxCookieLogin]
	reference := plain[11+maxCookieLogin:]
	return note{
		login:     string(login[:min(len(login), int(binary.BigEndian.Uint16(plain[8:])))]),
		reference: string(reference[:min(len(reference), int(plain[10]))]),
	}
}

// set writes the cookie. Lax: after a click in a web mail, which is a cross-site
// navigation, a strict one would be missing.
func (j cookieJar) set(w http.ResponseWriter, value string, life int) {
	http.SetCookie(w, &http.Cookie{
		Name:     j.name,
		Value:    value,
		Path:     "/",
		MaxAge:   life,
		Secure:   j.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

func seal(key [32]byte) cipher.AEAD {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("web: " + err.Error()) // the key has 32 bytes
	}
	return aead
}
