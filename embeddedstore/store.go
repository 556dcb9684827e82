// Package embeddedstore is kv on one bbolt file, for a single machine.
//
// When Update returns nil its writes have been synced to disk: they survive
// kill -9 and, as far as the disk keeps its word, a power cut. Updates that
// wait at the same time share one commit, and nobody learns the result of a
// closure, good or bad, before the commit of its batch has returned. After a
// crash at any point the file opens and holds all or nothing of each update.
//
// The file is held under an exclusive lock. What is wrong with it (damaged,
// emptied, truncated, moved away, in use, full disk) is an error that names
// the file, the cause and the remedy, never a panic and never a fresh start
// with an empty store: who finds nothing here must be able to trust that.
//
// The package sees opaque bytes; package kv/sealed is what makes them so. A
// deleted value stays in a free page of the file until that page is used again.
// On a network file system without working locks, two processes would destroy
// the file.
//
// The file never shrinks. It does not grow either before its free pages are in
// use again, also after a crash: it is as large as the most rows that it ever
// held at once need, and the little that moving them takes. Only a copy made by
// bbolt's compaction, while Caddy is stopped, is smaller.
package embeddedstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Bounds of one commit, so that nobody waits long for a neighbour's writes.
const (
	maxBatch      = 512
	maxBatchBytes = 1 << 20

	// While somebody waits for an update of a commit, ones that yield may be one
	// more than an eighth of the others in it: each makes it longer for all. If
	// a commit is full of others, the next one begins with as many that yield.
	yieldingShare = 8
)

var (
	// ErrInUse is wrapped by the error of Open if another process, or another
	// Store of this one, holds the file.
	ErrInUse = errors.New("store is in use")

	// ErrDamaged is wrapped by errors of Open, View, Update and Check that say
	// the file is not, or no longer, what was written to it.
	ErrDamaged = errors.New("store is damaged")

	// ErrMissing is wrapped by errors of View and Update while the file at the
	// path is not the one that was opened.
	ErrMissing = errors.New("store is no longer at its path")
)

var errClosed = errors.New("store is closed")

// errOverwritten says that a transaction found another state than the one
// before it had left: somebody copied over the open file. What bbolt knows of
// free pages is of the other state; with it the next write would destroy rows.
var errOverwritten = errors.New("another copy was written over the open file; stop Caddy before a copy is put back")

// bucket holds all rows.
var bucket = []byte("kv")

// Options says which file to open, and how.
type Options struct {
	// Path of the file. Its directory is made, with mode 0700, if missing.
	Path string

	// Timeout is how long Open waits for another process to let go of the
	// file. Default 3 s: on a reload the old holder may still be closing it.
	Timeout time.Duration

	// Committed is told how long each commit took, from its first closure to
	// the end of the sync. All that waits for the store waits for it, so it
	// must be quick and must not call the store. Default: nobody.
	Committed func(time.Duration)

	// Logger hears of faults and of their end. Default: nobody.
	Logger *slog.Logger
}

// A Store is a kv.Store on one file. Its methods may be called from several
// goroutines at once.
type Store struct {
	path string
	log  *slog.Logger
	file *os.File // the one that bbolt holds
	db   *bbolt.DB

	pageSize int
	sentry   *sentry // what bbolt logs to

	queue   queue
	watch   watch
	broken  atomic.Pointer[error] // not nil: bbolt cannot go on in this process
	closing sync.Once
	closed  chan struct{} // the writer has ended

	committed atomic.Int64 // the last transaction that was synced

	updates, commits atomic.Uint64 // for tests: closures run, transactions synced
	duringSnapshot   func()        // for tests: runs after each part of one

	// Only the writer uses these.
	committing   func(time.Duration)
	linger       linger
	commitErr    error         // of the last commit
	failedLast   time.Time     // when one failed; zero once that has ended
	calm         time.Duration // const calm, but for tests
	tried        int64         // the last transaction that was to be synced
	unlisted     bool          // the file has no list of free pages
	ending       bool          // this commit is the last
	owed         int           // updates that yield, for which the last commit had no room
	beforeCommit func()        // for tests: runs when all closures of a batch have
}

// Open opens the store at o.Path, or creates it. Creation is all or nothing,
// also in a crash. A file that is there already is never replaced: one that is
// empty, damaged, or not a store is refused with an error that wraps
// [ErrDamaged]; one that is held by another process with [ErrInUse]. A file
// that others may read or write is tightened to 0600.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Timeout <= 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Committed == nil {
		o.Committed = func(time.Duration) {}
	}
	s := &Store{path: o.Path, log: o.Logger, committing: o.Committed, calm: calm, closed: make(chan struct{})}
	if err := s.open(ctx, o.Timeout); err != nil {
		return nil, fmt.Errorf("opening store %s: %w", o.Path, err)
	}
	sweep(o.Path)
	s.queue.wake = make(chan struct{}, 1)
	go s.write()
	return s, nil
}

// View implements kv.Store. An error of the file itself wraps [ErrDamaged] or
// [ErrMissing] and leaves other rows readable.
func (s *Store) View(ctx context.Context, fn func(kv.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.usable(); err != nil {
		return err
	}
	// Without this, reading a page of a file that was truncated meanwhile is a
	// SIGBUS that ends the whole process (etcd-io/bbolt#105).
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))

	var result error
	committed := s.committed.Load()
	err := guard(func() error {
		return s.view(func(tx *bbolt.Tx) error {
			if int64(tx.ID()) < committed {
				s.breakDown(errOverwritten)
				return *s.broken.Load()
			}
			r, err := s.read(tx)
			if err != nil {
				return err
			}
			defer func() { r.bucket = nil }()
			result = kv.Guard(func() error { return fn(r) })
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("reading store %s: %w", s.path, err)
	}
	return result
}

// Update implements kv.Store. If ctx ends first, the update is taken back if
// its turn has not come; otherwise its outcome is unknown. Either way the
// closure is not running any more when Update returns.
func (s *Store) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return unknown(err)
	}
	u := &update{fn: fn, yields: kv.Yields(ctx), result: make(chan error, 1)}
	if !s.queue.push(u) {
		return unknown(errClosed)
	}
	select {
	case err := <-u.result:
		return err
	case <-ctx.Done():
	}
	if ran := s.queue.withdraw(u); ran != nil {
		// The closure shares variables with the caller, who may use them again
		// as soon as this returns.
		<-ran
		select {
		case err := <-u.result:
			return err
		default:
		}
	}
	return unknown(ctx.Err())
}

// Close implements kv.Store. Updates that wait already are carried out first.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		s.queue.close()
		<-s.closed
		if s.broken.Load() != nil {
			// A transaction that could not be rolled back holds bbolt's locks
			// for ever. Without them, at least the next process gets the file.
			err = abandon(s.file)
		} else {
			err = guard(s.db.Close)
		}
	})
	if err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}

// Size returns how many bytes the file has, free pages included.
func (s *Store) Size() (int64, error) {
	info, err := s.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("looking at store %s: %w", s.path, err)
	}
	return info.Size(), nil
}

// usable returns why the store must not be used now, if so.
func (s *Store) usable() error {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	return s.watch.check(s)
}

// breakDown makes every later call fail: bbolt's own state is no longer known.
func (s *Store) breakDown(cause error) {
	// A page that is no longer in the file is a memory fault, which tells an
	// operator nothing.
	if err := s.watch.lookNow(s.path); err != nil {
		cause = err
	}
	err := fmt.Errorf("%w and was taken out of use; check %s, then restart: %w", ErrDamaged, s.path, cause)
	if s.broken.CompareAndSwap(nil, &err) {
		s.log.Error("store taken out of use", "path", s.path, "error", err)
	}
}

// guard turns a panic of bbolt, which is how it reports most damaged pages,
// or a memory fault in its mapping into an error. bbolt's panics name page
// numbers and types, never keys or values.
func guard(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, v)
		}
	}()
	return fn()
}

func unknown(err error) error {
	return fmt.Errorf("%w: %w", kv.ErrUnknown, err)
}

var _ kv.Store = (*Store)(nil)
