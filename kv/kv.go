// Package kv is the storage contract of this module: an ordered key-value
// store with transactions. What a grant is and how a limit counts is written
// once, in package reset, on this contract; a new engine is a new [Store] and
// nothing else. Package kvtest holds the conformance suite that every engine
// must pass.
//
// Keys are ordered bytewise. All byte slices that cross this interface are
// copies: the caller may keep and change what it gets, the store never keeps
// what it was given.
package kv

import (
	"context"
	"errors"
	"io"
)

// Bounds of one transaction. The embedded store could take more; it enforces
// the same bounds as a clustered engine so that code which passes here passes
// there.
const (
	// MaxKey is the longest key, in bytes.
	MaxKey = 1 << 10
	// MaxValue is the longest value, in bytes.
	MaxValue = 64 << 10
	// MaxKeys is how many distinct keys one Update may read and write.
	MaxKeys = 100
	// MaxBytes is how many bytes of keys and values one Update may read and
	// write.
	MaxBytes = 256 << 10
)

// ErrUnknown is wrapped by every error of Update that did not come from the
// closure: whether the update was stored is not known. It never means "not
// done". The way to learn the truth is another Update that writes and
// succeeds (a barrier), never a View.
var ErrUnknown = errors.New("outcome of the update unknown")

// ErrLimit is returned by Tx methods, and by Update when the closure ignored
// it, for a key, a value or a transaction beyond the bounds above. Nothing
// was stored.
var ErrLimit = errors.New("beyond the bounds of one transaction")

type yielding struct{}

// Yielding returns a context whose updates give way to those of others: they
// are work that nobody waits for. An engine may put them off for a moment, never
// for good.
func Yielding(ctx context.Context) context.Context {
	return context.WithValue(ctx, yielding{}, true)
}

// Yields reports whether ctx comes from [Yielding].
func Yields(ctx context.Context) bool { return ctx.Value(yielding{}) != nil }

// A Pair is one row of a Scan.
type Pair struct {
	Key, Value []byte
}

// A Reader reads one consistent snapshot. It is valid only inside the closure
// of View.
type Reader interface {
	// Get returns the value of key, or nil if there is none. A stored empty
	// value is returned as an empty, non-nil slice.
	Get(key []byte) ([]byte, error)

	// Scan returns up to limit rows with start <= key < end, in order of
	// their keys. A nil end means the end of the store. No invariant may
	// depend on a Scan: what it finds is read again by Get inside the Update
	// that acts on it.
	Scan(start, end []byte, limit int) ([]Pair, error)
}

// A Tx reads and writes within one Update. It is valid only inside the
// closure. Get sees what the same closure has put and deleted.
type Tx interface {
	// Get returns the value of key, or nil if there is none.
	Get(key []byte) ([]byte, error)
	// Put stores value under key. The key must not be empty.
	Put(key, value []byte) error
	// Delete removes key. Deleting what is not there is no error.
	Delete(key []byte) error
}

// A Store is an ordered key-value store with serialisable transactions. Its
// methods may be called from several goroutines at once.
type Store interface {
	// View runs fn on one consistent snapshot that is at least as new as
	// every Update that had returned when View was called. It must be short
	// (below 5 s), and fn must not call Update. The error of fn is returned
	// as it is.
	View(ctx context.Context, fn func(Reader) error) error

	// Update runs fn in one serialisable transaction and returns nil once
	// what it wrote is durable. An error returned by fn comes back as it is
	// and means that nothing was stored; every other error wraps
	// [ErrUnknown], but for one that wraps [ErrLimit]. fn may run more than
	// once, and may run for an Update whose result is then thrown away, so it
	// must have no side effects: ids, randomness and time are taken before
	// the call.
	Update(ctx context.Context, fn func(Tx) error) error

	// Close waits for running transactions and releases the store.
	Close() error
}

// An Exporter is a [Store] that can be copied while it is in use.
type Exporter interface {
	// Export writes a copy to w. It holds the state of one moment, which has
	// passed when w is first written to: w may call Update, and what it stores
	// is not in the copy. An error of w is wrapped; after an error what was
	// written is of no use.
	//
	// progress, if it is not nil, is called with how many bytes have been
	// written and how many there will be, ever more until they are all.
	Export(ctx context.Context, w io.Writer, progress func(done, total int64)) error
}

// An Indexer turns what must not be readable (a login, an address, an account
// id) into a fixed-size key part: an HMAC under a key of the store's own. The
// same label and parts always give the same result; no two different lists of
// parts are confused with each other.
type Indexer interface {
	Index(label string, parts ...string) [32]byte
}
