package webhookout

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// The bounds of a secret, in bytes after decoding (Standard Webhooks 1.0.0,
// "Signature scheme").
const (
	minSecret = 24
	maxSecret = 64
)

// A Secret is what sender and receiver share: an HMAC key. Printed or logged,
// it does not show itself. The zero value is no secret and [New] refuses it.
type Secret struct {
	key []byte
}

// ParseSecret reads a secret as operators have it: standard base64 with
// padding, of 24 to 64 bytes, behind an optional "whsec_", behind an optional
// "v1,". An error never quotes the secret.
func ParseSecret(s string) (Secret, error) {
	s = strings.TrimPrefix(s, "v1,")
	if strings.HasPrefix(s, "whsk_") || strings.HasPrefix(s, "whpk_") {
		return Secret{}, errors.New("parsing webhook secret: this is an ed25519 key (whsk_, whpk_); a shared secret is needed (whsec_)")
	}
	s = strings.TrimPrefix(s, "whsec_")
	// The decoder skips line ends, which a receiver's decoder may not: the two
	// sides would sign with different keys. Its errors would name an offset
	// and nothing that helps.
	key, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return Secret{}, errors.New("parsing webhook secret: not standard base64 with padding; make one with: echo whsec_$(openssl rand -base64 32)")
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return Secret{}, fmt.Errorf("parsing webhook secret: %d bytes after decoding; %d to %d are needed", len(key), minSecret, maxSecret)
	}
	return Secret{key: key}, nil
}

// String returns a fixed text.
func (Secret) String() string { return "[secret]" }

// GoString returns a fixed text, so that %#v shows no key either.
func (Secret) GoString() string { return "[secret]" }

// sign returns the signature "v1,…" over id, timestamp and the exact bytes of
// the body. Neither id nor timestamp holds a ".", so no two messages share
// their signed bytes.
func (s Secret) sign(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
