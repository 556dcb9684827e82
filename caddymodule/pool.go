package caddymodule

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// pool holds the open stores of this process. On a reload the new
// configuration starts before the old one stops, requests of the old one go on
// for a while, and the file can be opened only once: whoever uses a store has
// a reference, and the last one out closes it.
var pool = newStorePool()

var (
	// errClosed says that the store that a service was made for is gone.
	errClosed = errors.New("store is closed")

	errNoKey = errors.New("this store needs a key: write `key {file./etc/caddy/reset.key}` in the global `password_reset` block")
)

// A storeConfig says which store an app wants and how to open it.
type storeConfig struct {
	opener StoreOpener
	keys   [][]byte // configured master keys, newest first; empty: that of the key file
	digest [sha256.Size]byte
	log    *slog.Logger

	// fitted is the store that the keys were seen to fit. Those of an older
	// configuration stop fitting when a newer one replaces them, and requests
	// of the older one go on, for good if that reload fails.
	fitted atomic.Pointer[pooledStore]
}

func newStoreConfig(opener StoreOpener, keys [][]byte, log *slog.Logger) *storeConfig {
	return &storeConfig{opener: opener, keys: keys, digest: sha256.Sum256(slices.Concat(keys...)), log: log}
}

// A pooledStore is an open store with what all configurations on it share.
type pooledStore struct {
	sealed *sealed.Store
	inner  kv.Store // what sealed seals, and nobody else may read or write
	shared *reset.Shared
	gone   chan struct{} // closed when the store is

	mu   sync.Mutex
	fits [sha256.Size]byte // the configured keys that were last seen to fit
}

// acquire returns the store with one reference taken, opening it if nobody has
// it open. The release may be called any number of times and counts once:
// UsagePool lets a surplus Delete close what somebody else is using.
func (c *storeConfig) acquire(ctx context.Context) (*pooledStore, func(), error) {
	// Who opens it first does so for all: a visitor who goes away must not
	// make it fail for the others.
	ctx = context.WithoutCancel(ctx)
	key := c.opener.StoreKey()
	if err := pool.admits(key); err != nil {
		return nil, nil, err
	}
	v, release, err := take(key, func() (caddy.Destructor, error) {
		// Asked again: the store may have been closed since, to be replaced.
		if err := pool.admits(key); err != nil {
			return nil, err
		}
		return c.open(ctx)
	}, c.log)
	if err != nil {
		return nil, nil, err
	}
	if err := v.useKeys(ctx, c); err != nil {
		release()
		return nil, nil, err
	}
	return v, release, nil
}

// hold takes one more reference to v, for a job. It never opens anything: v is
// what the job's service reads and writes.
func (c *storeConfig) hold(v *pooledStore) (func(), error) {
	got, release, err := take(c.opener.StoreKey(), func() (caddy.Destructor, error) { return nil, errClosed }, c.log)
	if err != nil {
		return nil, err
	}
	if got != v {
		release()
		return nil, errClosed
	}
	return release, nil
}

func take(key string, open caddy.Constructor, log *slog.Logger) (*pooledStore, func(), error) {
	v, _, err := pool.LoadOrNew(key, open)
	if err != nil {
		return nil, nil, err // nothing was taken
	}
	var once sync.Once
	release := func() {
		once.Do(func() {
			if _, err := pool.Delete(key); err != nil {
				log.Error("closing store", "error", err)
			}
		})
	}
	return v.(*pooledStore), release, nil
}

// open opens the store. A panic in here would leave the pool's entry locked
// for ever, and the next reload with it: bbolt panics on most damaged files.
func (c *storeConfig) open(ctx context.Context) (d caddy.Destructor, err error) {
	var inner kv.Store
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("opening store: the store is damaged (%T)", e)
		}
		if err != nil && inner != nil {
			err = errors.Join(err, inner.Close())
		}
	}()
	if inner, err = c.opener.OpenStore(ctx, c.log); err != nil {
		inner = nil // a guest may return a nil pointer, which is no nil store
		return nil, err
	}
	used, err := sealed.HasRecords(ctx, inner)
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	o := sealed.Options{Logger: c.log}
	if o.Keys, err = c.masterKeys(used); err != nil {
		return nil, err
	}
	if m, ok := inner.(sealed.Marker); ok {
		o.Marker = m
	}
	s, err := sealed.Open(ctx, inner, o)
	if err != nil {
		return nil, c.unlocking(err)
	}
	return &pooledStore{sealed: s, inner: inner, shared: reset.NewShared(), gone: make(chan struct{}), fits: c.digest}, nil
}

// masterKeys returns the configured keys or that of the key file, which is
// created for a store that was never used only: a new key beside old records
// opens none of them.
func (c *storeConfig) masterKeys(used bool) ([][]byte, error) {
	if len(c.keys) > 0 {
		return c.keys, nil
	}
	local, ok := c.opener.(LocalStore)
	if !ok {
		return nil, errNoKey
	}
	path := local.KeyFile()
	key, err := sealed.LoadKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if used {
			return nil, &missingKey{path}
		}
		if key, err = sealed.CreateKeyFile(path); err == nil {
			c.log.Info("created the key of the store; keep a copy of it, without it the store cannot be read", "file", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("loading key: %w", err)
	}
	return [][]byte{key}, nil
}

// A missingKey says that the key file of a store that has records is gone.
type missingKey struct{ path string }

func (e *missingKey) Error() string {
	return fmt.Sprintf("the store has records, but its key file %s is missing: put it back, or name the key with `key`", e.path)
}

// Is makes it one of a missing file.
func (e *missingKey) Is(target error) bool { return target == fs.ErrNotExist }

// unlocking says which key file was tried, if nobody has named one.
func (c *storeConfig) unlocking(err error) error {
	if local, ok := c.opener.(LocalStore); ok && len(c.keys) == 0 {
		return fmt.Errorf("unlocking store with the key in %s: %w", local.KeyFile(), err)
	}
	return fmt.Errorf("unlocking store: %w", err)
}

// useKeys makes sure that a configuration that finds the store open has a key
// that fits, as if it had opened it: a wrong one would be noticed at the next
// start of Caddy only. A newer key takes over here, as it does at a start.
func (p *pooledStore) useKeys(ctx context.Context, c *storeConfig) error {
	if c.fitted.Load() == p {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fits != c.digest {
		keys, err := c.masterKeys(true)
		if err != nil {
			return err
		}
		if err := p.sealed.Rekey(ctx, keys); err != nil {
			return c.unlocking(err)
		}
		p.fits = c.digest
	}
	c.fitted.Store(p)
	return nil
}

// Destruct implements [caddy.Destructor]: the last reference was given back.
func (p *pooledStore) Destruct() error {
	defer close(p.gone)
	return p.sealed.Close()
}
