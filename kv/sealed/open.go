package sealed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// openAttempts is how often Open tries again when the outcome of its own
// update is unknown.
const openAttempts = 10

// errNoSentinel says inside this package that there is none to raise.
var errNoSentinel = errors.New("no sentinel")

// Open opens the store inside inner, or begins one if inner holds nothing at
// all. It raises the generation of the store and then that of the Marker; if
// the Marker was ahead, it begins a new era and logs one ERROR line with the
// attribute alarm=true.
//
// The error wraps [ErrKey] or [ErrSentinel] if the store must not be used with
// these keys. inner stays the caller's to close if Open fails.
func Open(ctx context.Context, inner kv.Store, o Options) (*Store, error) {
	s, err := open(ctx, inner, o)
	if err != nil {
		return nil, fmt.Errorf("opening sealed store: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, inner kv.Store, o Options) (*Store, error) {
	s := &Store{inner: inner, marker: o.Marker, log: o.Logger, reported: map[[sha256.Size]byte]bool{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.keys, err = newMasterKeys(o.Keys); err != nil {
		return nil, err
	}

	raised, wasKey, err := s.raise(ctx)
	if errors.Is(err, errNoSentinel) {
		if err := s.begin(ctx); err != nil {
			return nil, err
		}
		raised, wasKey, err = s.raise(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.reportKey(wasKey)
	if s.marker != nil {
		if err := s.marker.SetGeneration(raised.generation); err != nil {
			return nil, err
		}
	}
	s.secrets = raised
	s.macs.New = func() any { return hmac.New(sha256.New, s.secrets.indexKey[:]) }
	s.aead, err = chacha20poly1305.NewX(raised.dataKey[:])
	return s, err
}

// Rekey gives the open store other master keys, newest first, as Open would
// have: one of them must fit, and the store is then bound to the newest alone.
//
// The error wraps [ErrKey] or [ErrSentinel] if Open would have refused these
// keys. After an error the store goes on with those it has.
func (s *Store) Rekey(ctx context.Context, keys [][]byte) error {
	fresh, err := newMasterKeys(keys)
	if err == nil {
		err = s.rekey(ctx, fresh)
	}
	if err != nil {
		return fmt.Errorf("replacing keys: %w", err)
	}
	return nil
}

func (s *Store) rekey(ctx context.Context, keys []masterKey) error {
	s.keyring.Lock()
	defer s.keyring.Unlock()
	wasKey := 0
	err := s.settle(ctx, func(t kv.Tx) error {
		data, err := t.Get(sentinelKey)
		if err != nil {
			return err
		}
		if data == nil {
			return fmt.Errorf("%w: it is gone; restore the store from a backup", ErrSentinel)
		}
		now, i, err := openSentinel(data, keys)
		if err != nil || i == 0 {
			return err
		}
		wasKey = i
		return t.Put(sentinelKey, now.seal(keys[0]))
	})
	if err != nil {
		return err
	}
	s.keys = keys
	s.reportKey(wasKey)
	return nil
}

// reportKey says when a key other than the newest has opened the store.
func (s *Store) reportKey(key int) {
	if key > 0 {
		s.log.Info("store is bound to the newest key now; older keys can go")
	}
}

// begin stores a new sentinel in a store that holds nothing.
func (s *Store) begin(ctx context.Context) error {
	used, err := HasRecords(ctx, s.inner)
	if err != nil {
		return err
	}
	if used {
		return fmt.Errorf("%w: there are records but no sentinel; restore the store from a backup, or move it away to start anew", ErrSentinel)
	}
	marker := uint64(0)
	if s.marker != nil {
		if marker, err = s.marker.Generation(); err != nil {
			return err
		}
	}
	fresh := newSentinel(marker).seal(s.keys[0])
	return s.settle(ctx, func(t kv.Tx) error {
		// Another process may have been faster; then its sentinel counts.
		if old, err := t.Get(sentinelKey); old != nil || err != nil {
			return err
		}
		return t.Put(sentinelKey, fresh)
	})
}

// raise stores the sentinel in its next generation, under the newest key, and
// returns it with the number of the key that opened it. The caller holds
// s.keyring, or nobody else has s yet.
func (s *Store) raise(ctx context.Context) (raised sentinel, key int, err error) {
	var marker uint64
	if s.marker != nil {
		if marker, err = s.marker.Generation(); err != nil {
			return raised, 0, err
		}
	}
	wasRestored := false
	err = s.settle(ctx, func(t kv.Tx) error {
		data, err := t.Get(sentinelKey)
		if err != nil {
			return err
		}
		if data == nil {
			return errNoSentinel
		}
		old, i, err := openSentinel(data, s.keys)
		if err != nil {
			return err
		}
		restored := false
		raised, restored = old.next(marker)
		// Not taken back by another run: that one may see what the first one
		// stored, and with it no reason for an alarm.
		wasRestored = wasRestored || restored
		key = max(key, i)
		return t.Put(sentinelKey, raised.seal(s.keys[0]))
	})
	if err == nil && wasRestored {
		s.log.Error("an older copy of the store was put back: all links and codes in it are void and pending changes are dropped",
			"alarm", true, "era", raised.era)
	}
	return raised, key, err
}

// settle runs an update until its outcome is known. fn must be safe to be
// carried out again.
func (s *Store) settle(ctx context.Context, fn func(kv.Tx) error) error {
	var err error
	for range openAttempts {
		if err = s.inner.Update(ctx, fn); !errors.Is(err, kv.ErrUnknown) || ctx.Err() != nil {
			return err
		}
	}
	return err
}
