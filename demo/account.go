package demo

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of what a hash from outside may make each login cost.
const (
	maxArgonMemory = 256 << 10 // KiB
	maxBcryptCost  = 14
)

// An Account is a person of the app, as its lookup hook gives it out.
type Account struct {
	ID     string `json:"id"`
	Login  string `json:"login"`
	Email  string `json:"email"`
	Name   string `json:"name,omitempty"`
	Locale string `json:"locale,omitempty"`
}

var samples = []Account{
	{ID: "1001", Login: "alice", Email: "alice@example.com", Name: "Alice Archer", Locale: "en"},
	{ID: "1002", Login: "bob", Email: "bob@example.com", Name: "Bob Baker", Locale: "en"},
	{ID: "1003", Login: "carol", Email: "carol@example.com", Name: "Carol Cooper", Locale: "en"},
}

// person is an account with what the app keeps about its password.
type person struct {
	Account
	hash     string          // bcrypt or argon2id
	sequence int64           // of the newest change applied
	applied  map[string]bool // webhook-ids of the changes applied
}

// find returns whom a login or an address belongs to, and the hash of the
// password.
func (a *App) find(login string) (*person, string) {
	login = fold(login)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.people {
		if login == fold(p.Login) || login == fold(p.Email) {
			return p, p.hash
		}
	}
	return nil, ""
}

// verify says whether hash was made from password.
func verify(hash, password string) bool {
	if !strings.HasPrefix(hash, "$argon2id$") {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	}
	h, err := parseArgon2id(hash)
	if err != nil {
		return false
	}
	tag := argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.tag)))
	return subtle.ConstantTimeCompare(tag, h.tag) == 1
}

type argonHash struct {
	memory, passes uint32
	lanes          uint8
	salt, tag      []byte
}

// parseArgon2id reads a PHC string.
func parseArgon2id(s string) (argonHash, error) {
	var h argonHash
	var version int
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return h, errors.New("not an argon2id hash")
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return h, fmt.Errorf("not version %d of argon2id", argon2.Version)
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil {
		return h, errors.New("parameters of argon2id are malformed")
	}
	if h.memory > maxArgonMemory || h.passes == 0 || h.passes > 10 || h.lanes == 0 {
		return h, errors.New("parameters of argon2id are out of bounds")
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return h, errors.New("salt of argon2id is malformed")
	}
	if h.tag, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.tag) < 16 || len(h.tag) > 64 {
		return h, errors.New("tag of argon2id is malformed")
	}
	return h, nil
}

// fold puts ASCII letters in lower case: any other folding would let two
// logins fall together that the directory keeps apart.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
