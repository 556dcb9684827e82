package kvtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Indexer is a kv.Indexer with a fixed, public key, for tests: the same parts
// give the same result in every run.
type Indexer struct{}

// Index implements kv.Indexer.
func (Indexer) Index(label string, parts ...string) [32]byte {
	mac := hmac.New(sha256.New, []byte("kvtest"))
	for _, part := range append([]string{label}, parts...) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	return [32]byte(mac.Sum(nil))
}

var _ kv.Indexer = Indexer{}
