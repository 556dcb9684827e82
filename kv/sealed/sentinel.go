package sealed

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

var (
	// ErrKey is wrapped by the error of Open and Rekey if none of the keys
	// fits.
	ErrKey = errors.New("key does not fit the store")

	// ErrSentinel is wrapped by the error of Open and Rekey if the store has
	// records but no sentinel, or one that is damaged.
	ErrSentinel = errors.New("sentinel of the store is missing or damaged")
)

// sentinelKey names the sentinel in the inner store. It sorts before what
// callers store.
var sentinelKey = []byte("\x00sentinel")

// Layout of the sentinel: version, id of the master key, nonce, box. The
// version and the id are authenticated with the box.
const (
	sentinelVersion = 1
	keyIDSize       = 8
	sentinelHeader  = 1 + keyIDSize
	sentinelSize    = sentinelHeader + chacha20poly1305.NonceSizeX + payloadSize + chacha20poly1305.Overhead
	payloadSize     = 16 + 32 + 32 + 8 + 8
)

// What the keys derived from a master key are for (RFC 5869, info).
const (
	infoWrap = "caddy-password-reset sentinel wrap 1"
	infoID   = "caddy-password-reset sentinel key id 1"
)

// A sentinel holds the secrets of one store.
type sentinel struct {
	instance   [16]byte
	indexKey   [32]byte
	dataKey    [32]byte
	generation uint64 // how often the store was opened or closed, at least
	era        uint64 // the generation in which an older copy was last put back
}

// newSentinel returns one for a new store. A marker that is there already is
// from a store that was moved away: this one begins after it, without alarm.
func newSentinel(marker uint64) sentinel {
	s := sentinel{generation: marker + 1, era: marker + 1}
	rand.Read(s.instance[:])
	rand.Read(s.indexKey[:])
	rand.Read(s.dataKey[:])
	return s
}

// next returns the sentinel to be stored now, given the number in the marker.
// A marker that is ahead has seen the store in a later generation than this
// one. The other way round is harmless: the store is written first, and a
// crash may come in between.
func (s sentinel) next(marker uint64) (next sentinel, restored bool) {
	next = s
	restored = marker > s.generation
	next.generation = max(s.generation, marker) + 1
	if restored {
		next.era = next.generation
	}
	return next, restored
}

// A masterKey is what is derived from one of Options.Keys.
type masterKey struct {
	id   [keyIDSize]byte
	wrap cipher.AEAD
}

func newMasterKeys(keys [][]byte) ([]masterKey, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key")
	}
	derived := make([]masterKey, len(keys))
	for i, key := range keys {
		var err error
		if derived[i], err = newMasterKey(key); err != nil {
			return nil, err
		}
	}
	return derived, nil
}

func newMasterKey(key []byte) (masterKey, error) {
	if len(key) != KeySize {
		return masterKey{}, fmt.Errorf("a key has %d bytes; want %d", len(key), KeySize)
	}
	id, err := hkdf.Key(sha256.New, key, nil, infoID, keyIDSize)
	if err != nil {
		return masterKey{}, err
	}
	wrapKey, err := hkdf.Key(sha256.New, key, nil, infoWrap, chacha20poly1305.KeySize)
	if err != nil {
		return masterKey{}, err
	}
	wrap, err := chacha20poly1305.NewX(wrapKey)
	return masterKey{id: [keyIDSize]byte(id), wrap: wrap}, err
}

// seal wraps s under key.
func (s sentinel) seal(key masterKey) []byte {
	payload := make([]byte, 0, payloadSize)
	payload = append(payload, s.instance[:]...)
	payload = append(payload, s.indexKey[:]...)
	payload = append(payload, s.dataKey[:]...)
	payload = binary.BigEndian.AppendUint64(payload, s.generation)
	payload = binary.BigEndian.AppendUint64(payload, s.era)

	out := make([]byte, 0, sentinelSize)
	out = append(out, sentinelVersion)
	out = append(out, key.id[:]...)
	var nonce [chacha20poly1305.NonceSizeX]byte
	rand.Read(nonce[:])
	out = append(out, nonce[:]...)
	return key.wrap.Seal(out, nonce[:], payload, out[:sentinelHeader])
}

// openSentinel unwraps data with the one of keys that it names, and returns
// which one that is.
func openSentinel(data []byte, keys []masterKey) (s sentinel, key int, err error) {
	if len(data) > 0 && data[0] > sentinelVersion {
		return s, 0, fmt.Errorf("%w: it has version %d; a newer release wrote it, or it is damaged", ErrSentinel, data[0])
	}
	if len(data) != sentinelSize || data[0] != sentinelVersion {
		return s, 0, fmt.Errorf("%w: %d bytes are not one; restore the store from a backup", ErrSentinel, len(data))
	}
	header, rest := data[:sentinelHeader], data[sentinelHeader:]
	nonce, box := rest[:chacha20poly1305.NonceSizeX], rest[chacha20poly1305.NonceSizeX:]
	for i, k := range keys {
		if !bytes.Equal(header[1:], k.id[:]) {
			continue
		}
		payload, err := k.wrap.Open(nil, nonce, box, header)
		if err != nil {
			return s, i, fmt.Errorf("%w: it does not open with its key; restore the store from a backup", ErrSentinel)
		}
		copy(s.instance[:], payload)
		copy(s.indexKey[:], payload[16:])
		copy(s.dataKey[:], payload[48:])
		s.generation = binary.BigEndian.Uint64(payload[80:])
		s.era = binary.BigEndian.Uint64(payload[88:])
		return s, i, nil
	}
	return s, 0, fmt.Errorf("%w: none of %d; configure the key that the store was last opened with, after newer ones if there are any", ErrKey, len(keys))
}
