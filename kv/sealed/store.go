// Package sealed is a kv.Store around a kv.Store that keeps what is stored
// unreadable, and bound to its place, for whoever has the store but not the
// master key.
//
// Values are sealed with XChaCha20-Poly1305 under a random data key. The
// identity of the store and the key of the record are authenticated with each:
// a value that was changed, or moved to another record or another store, does
// not open. What must not be readable in a key goes through [Store.Index];
// keys as such are passed through. How many records there are, how large they
// are and when they change stays visible.
//
// Data key and index key are made with the store and kept in it, wrapped under
// the master key, in a record called the sentinel. Replacing the master key
// replaces only the sentinel. Without a fitting key, or with a store that has
// records but no sentinel, Open fails; it never begins afresh on them.
//
// The caller keeps the master key apart from copies of the store, and treats
// everything bound to an [Store.Era] as void when it changes.
package sealed

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Overhead is how many bytes longer a value is when sealed. The inner store
// sees them: a value may have kv.MaxValue - Overhead bytes, and each value
// counts for Overhead more towards kv.MaxBytes.
const Overhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// maxReported bounds the memory that remembers which damaged records have been
// reported: somebody who can write to the store could make any number.
const maxReported = 1000

// closeTimeout is how long Close may take to note the end of a run.
const closeTimeout = 5 * time.Second

// ErrDamaged is wrapped by the error of a Get of a record that does not open:
// changed, moved, or written under other keys. The error names no data.
var ErrDamaged = errors.New("record is damaged or was moved")

var errReserved = errors.New("key is reserved for the sentinel")

// A Marker keeps a number outside of the store that it belongs to, so that a
// restored older copy of the store is noticed. It returns 0 while none was set.
// SetGeneration is durable when it returns.
type Marker interface {
	Generation() (uint64, error)
	SetGeneration(n uint64) error
}

// Options says how to open a store.
type Options struct {
	// Keys are the master keys, 32 bytes each, newest first. A store opens
	// with any of them and is then bound to the newest alone, so that an older
	// one can be dropped after one start.
	Keys [][]byte

	// Marker, if any, is compared with the store at each Open.
	Marker Marker

	// Logger hears of damaged records and of a restored store, with the
	// attribute alarm=true. Default: nobody.
	Logger *slog.Logger
}

// A Store is a kv.Store whose values are sealed, and a kv.Indexer. Its methods
// may be called from several goroutines at once.
type Store struct {
	inner  kv.Store
	marker Marker
	log    *slog.Logger

	secrets sentinel
	aead    cipher.AEAD
	macs    sync.Pool // of hash.Hash, HMACs under the index key

	closing sync.Once

	keyring sync.Mutex // held while the sentinel is written
	keys    []masterKey

	mu       sync.Mutex
	reported map[[sha256.Size]byte]bool
}

// View implements kv.Store. A Scan leaves out records that do not open, and
// reports each once in the log: one bad record must not hide the others. Get
// of such a record returns [ErrDamaged].
func (s *Store) View(ctx context.Context, fn func(kv.Reader) error) error {
	return s.inner.View(ctx, func(r kv.Reader) error {
		return fn(&reader{inner: r, store: s})
	})
}

// Update implements kv.Store. Get of a record that does not open returns
// [ErrDamaged]; Put and Delete replace it.
func (s *Store) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return s.inner.Update(ctx, func(t kv.Tx) error {
		return fn(&tx{inner: t, store: s})
	})
}

// Close implements kv.Store and closes the inner store. With a Marker it notes
// the end of the run first: a copy that was made while it lasted is then known
// to be older.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		if s.marker != nil {
			ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
			defer cancel()
			s.keyring.Lock()
			raised, _, err := s.raise(ctx)
			s.keyring.Unlock()
			if err != nil {
				s.log.Warn("end of the run not noted in the store", "error", err)
			} else if err := s.marker.SetGeneration(raised.generation); err != nil {
				s.log.Warn("end of the run not noted beside the store", "error", err)
			}
		}
		err = s.inner.Close()
	})
	return err
}

// Index implements kv.Indexer with HMAC-SHA256 under the store's index key. It
// stays the same when the master key is replaced.
func (s *Store) Index(label string, parts ...string) [32]byte {
	mac := s.macs.Get().(hash.Hash) // making one costs as much as two HMACs
	defer s.macs.Put(mac)
	mac.Reset()
	writePart(mac.Write, label)
	for _, part := range parts {
		writePart(mac.Write, part)
	}
	return [32]byte(mac.Sum(nil))
}

// Era is the same number at each Open until an older copy of the store is put
// back; then it is a larger one. What was written in an earlier era may have
// been used or revoked since.
func (s *Store) Era() uint64 {
	return s.secrets.era
}

// MaxValue is the longest value, in bytes.
func (s *Store) MaxValue() int {
	return kv.MaxValue - Overhead
}

// HasRecords reports whether a store holds anything at all. A caller that
// finds no master key must not make one beside a store that does.
func HasRecords(ctx context.Context, inner kv.Store) (bool, error) {
	found := false
	err := inner.View(ctx, func(r kv.Reader) error {
		rows, err := r.Scan(nil, nil, 1)
		found = len(rows) > 0
		return err
	})
	return found, err
}

// seal returns the nonce and the sealed value. Random nonces of 24 bytes do
// not repeat in any number of values that fits on a disk.
func (s *Store) seal(key, value []byte) []byte {
	out := make([]byte, chacha20poly1305.NonceSizeX, Overhead+len(value))
	rand.Read(out)
	return s.aead.Seal(out, out, value, s.place(key))
}

// open opens a sealed value, in place.
func (s *Store) open(key, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		s.report(key)
		return nil, ErrDamaged
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	value, err := s.aead.Open(box[:0], nonce, box, s.place(key))
	if err != nil {
		s.report(key)
		return nil, ErrDamaged
	}
	return value, nil
}

// place is what a value is bound to. The identity has a fixed size, so that no
// two places are the same bytes.
func (s *Store) place(key []byte) []byte {
	return append(append(make([]byte, 0, len(s.secrets.instance)+len(key)), s.secrets.instance[:]...), key...)
}

// report logs a record that does not open, once. It is named by a hash, enough
// to recognise it by.
func (s *Store) report(key []byte) {
	id := sha256.Sum256(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reported[id] || len(s.reported) == maxReported {
		return
	}
	s.reported[id] = true
	s.log.Error("record set aside: it is damaged or was moved", "alarm", true, "record", hex.EncodeToString(id[:8]))
}

// A reader opens what it reads.
type reader struct {
	inner kv.Reader
	store *Store
}

// Get implements kv.Reader.
func (r *reader) Get(key []byte) ([]byte, error) {
	return get(r.store, r.inner.Get, key)
}

// Scan implements kv.Reader.
func (r *reader) Scan(start, end []byte, limit int) ([]kv.Pair, error) {
	var out []kv.Pair
	for len(out) < limit {
		want := limit - len(out)
		rows, err := r.inner.Scan(start, end, want)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if isSentinel(row.Key) {
				continue
			}
			value, err := r.store.open(row.Key, row.Value)
			if err != nil {
				continue
			}
			out = append(out, kv.Pair{Key: row.Key, Value: value})
		}
		if len(rows) < want {
			break
		}
		// Go on for those that were left out, after the last key.
		start = append(bytes.Clone(rows[len(rows)-1].Key), 0)
	}
	return out, nil
}

// A tx opens what it reads and seals what it writes.
type tx struct {
	inner kv.Tx
	store *Store
}

// Get implements kv.Tx.
func (t *tx) Get(key []byte) ([]byte, error) {
	return get(t.store, t.inner.Get, key)
}

// Put implements kv.Tx. The inner store judges the length of the sealed value.
func (t *tx) Put(key, value []byte) error {
	if isSentinel(key) {
		return errReserved
	}
	return t.inner.Put(key, t.store.seal(key, value))
}

// Delete implements kv.Tx.
func (t *tx) Delete(key []byte) error {
	if isSentinel(key) {
		return errReserved
	}
	return t.inner.Delete(key)
}

func get(s *Store, inner func([]byte) ([]byte, error), key []byte) ([]byte, error) {
	if isSentinel(key) {
		return nil, errReserved
	}
	sealed, err := inner(key)
	if sealed == nil || err != nil {
		return nil, err
	}
	value, err := s.open(key, sealed)
	if err != nil {
		return nil, fmt.Errorf("reading a record: %w", err)
	}
	return value, nil
}

func isSentinel(key []byte) bool {
	return bytes.Equal(key, sentinelKey)
}

// writePart writes a part after its length, so that no two lists of parts give
// the same bytes.
func writePart(write func([]byte) (int, error), part string) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(part)))
	write(size[:])
	write([]byte(part))
}

var (
	_ kv.Store   = (*Store)(nil)
	_ kv.Indexer = (*Store)(nil)
)
