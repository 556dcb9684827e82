package passwords

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// BcryptMaxBytes is how much of a password bcrypt looks at. Where an app uses
// bcrypt it has to be [Options.MaxBytes]: what follows would be no part of the
// password.
const BcryptMaxBytes = 72

var errTooLong = errors.New("password is longer than the 72 bytes that bcrypt takes")

// Cost of the hashes, after the OWASP Password Storage Cheat Sheet: bcrypt
// with a work factor of 10; Argon2id with 19 MiB, 2 passes and 1 lane, the
// first of its equal choices, and the one that libsodium and therefore PHP can
// verify. Salt and tag are as long as RFC 9106, section 4 says.
const (
	bcryptCost    = 10
	argonMemory   = 19 << 10 // KiB
	argonPasses   = 2
	argonLanes    = 1
	argonSaltSize = 16
	argonTagSize  = 32
)

// A Hasher turns a password into what an app stores. No more hashes are made
// at once than there are processors; other callers wait.
type Hasher struct {
	format string
	hash   func(string) (string, error)
	// slots bounds processor time and, for argon2id, memory: a crowd of
	// hashes at once would take the whole server along.
	slots chan struct{}
}

// NewHasher returns the hasher for a format: bcrypt or argon2id.
func NewHasher(format string) (*Hasher, error) {
	var f func(string) (string, error)
	switch format {
	case "bcrypt":
		f = hashBcrypt
	case "argon2id":
		f = hashArgon2id
	default:
		return nil, fmt.Errorf("unknown hash format %q; use bcrypt or argon2id", format)
	}
	return &Hasher{format: format, hash: f, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}, nil
}

// Format is the name of the format: bcrypt or argon2id.
func (h *Hasher) Format() string { return h.format }

// Hash returns the hash of password under a new salt: for bcrypt in the
// modular crypt format ($2a$10$…), for argon2id as a PHC string
// ($argon2id$v=19$m=19456,t=2,p=1$…). bcrypt refuses a password of more than
// [BcryptMaxBytes]: it is never cut.
func (h *Hasher) Hash(password string) (string, error) {
	h.slots <- struct{}{}
	defer func() { <-h.slots }()
	return h.hash(password)
}

func hashBcrypt(password string) (string, error) {
	if len(password) > BcryptMaxBytes {
		return "", errTooLong
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	if err != nil {
		return "", fmt.Errorf("hashing password: %w", err)
	}
	return string(hash), nil
}

func hashArgon2id(password string) (string, error) {
	salt := make([]byte, argonSaltSize)
	rand.Read(salt) // never fails: crypto/rand ends the process instead
	tag := argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, argonTagSize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(tag)), nil
}
