package webhookout

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The header fields of Standard Webhooks 1.0.0.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// tolerance is how far the clocks of sender and receiver may be apart, and so
// how long a captured request could be played again; the value is that of the
// reference libraries.
const tolerance = 5 * time.Minute

// What [Verify] returns.
var (
	// ErrHeaders says that a header field is missing, repeated or malformed.
	ErrHeaders = errors.New("webhook headers are missing or malformed")
	// ErrTimestamp says that the message is more than five minutes away from
	// now: played again, or a clock is wrong.
	ErrTimestamp = errors.New("webhook timestamp is too far from now")
	// ErrSignature says that none of the secrets made any of the signatures.
	ErrSignature = errors.New("webhook signature does not match")
)

// Verify says whether a message was signed with one of the secrets, over
// exactly this body, within five minutes of now. It is the receiver's side of
// [Client.Post], for receivers written in Go. It returns [ErrHeaders],
// [ErrTimestamp] or [ErrSignature].
//
// It remembers nothing: a receiver has to compare the webhook-id itself.
func Verify(secrets []Secret, h http.Header, body []byte, now time.Time) error {
	id, timestamp, signatures := single(h, headerID), single(h, headerTimestamp), single(h, headerSignature)
	if !validID(id) || signatures == "" {
		return ErrHeaders
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	// "+5" and "05" are 5 for a parser, but other bytes for the signature.
	if err != nil || strconv.FormatInt(seconds, 10) != timestamp {
		return ErrHeaders
	}
	if age := now.Unix() - seconds; age > int64(tolerance/time.Second) || age < -int64(tolerance/time.Second) {
		return ErrTimestamp
	}
	for _, secret := range secrets {
		if len(secret.key) == 0 {
			continue // anyone can sign with an empty key
		}
		want := []byte(secret.sign(id, timestamp, body))
		for signature := range strings.SplitSeq(signatures, " ") {
			// Constant time: an early exit would tell a forger how many bytes are right.
			if subtle.ConstantTimeCompare([]byte(signature), want) == 1 {
				return nil
			}
		}
	}
	return ErrSignature
}

// single returns the value of a field that must come once: of two, a proxy
// and an app behind it may read different ones.
func single(h http.Header, name string) string {
	if v := h.Values(name); len(v) == 1 {
		return v[0]
	}
	return ""
}

// validID says whether an id can stand in a header and in the signed bytes,
// where a "." would let id and timestamp run into each other.
func validID(id string) bool {
	if id == "" || len(id) > 255 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '.' {
			return false
		}
	}
	return true
}
