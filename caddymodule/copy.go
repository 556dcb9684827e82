package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

var (
	errNoExport      = errors.New("this kind of store cannot be copied from here; use the means of its own")
	errNoRestore     = errors.New("this kind of store cannot be restored from here; use the means of its own")
	errNoCopy        = errors.New("this is no copy of a store, or a damaged one, and nothing was changed")
	errNothingToCopy = errors.New("there is no store yet, so there is nothing to copy")
)

// export writes a copy of the store to w while everything goes on. The copy is
// sealed as the store is; the key is not in it. The first progress comes
// before the first bytes, when the copy has been made and checked.
func (a *App) export(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	release, err := pool.claim(a.store.opener.StoreKey())
	if err != nil {
		return err
	}
	defer release()
	store, giveBack, err := a.acquire(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	return store.export(ctx, w, progress)
}

func (p *pooledStore) export(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	err := p.sealed.Export(ctx, w, progress)
	if errors.Is(err, errors.ErrUnsupported) {
		return errNoExport
	}
	return err
}

// exportAlone is export where no server runs. It opens the store, and so fails
// if another process has it open.
func (c *storeConfig) exportAlone(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	if local, ok := c.opener.(RestorableStore); ok {
		stored, err := local.Stored()
		if err != nil {
			return err
		}
		if !stored {
			return errNothingToCopy // opening would make one
		}
	}
	store, release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	return store.export(ctx, w, progress)
}

// restoreAlone puts a copy in the place of the store where no server runs, and
// returns where the previous store is kept. It fails if another process has the
// store open.
func (c *storeConfig) restoreAlone(ctx context.Context, from io.Reader) (kept string, err error) {
	received, err := c.receive(ctx, from)
	if err != nil {
		return "", err
	}
	defer received.discard(c)
	return received.install()
}

// A receivedCopy has been checked, with the keys too.
type receivedCopy struct {
	StoreCopy
	generation uint64 // of the copy
	seen       uint64 // that of the store, before install
}

// receive takes a copy in and makes sure that it would open, before anything is
// done to the store.
func (c *storeConfig) receive(ctx context.Context, from io.Reader) (*receivedCopy, error) {
	store, ok := c.opener.(RestorableStore)
	if !ok {
		return nil, errNoRestore
	}
	keys, err := c.masterKeys(true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("a copy needs the key of its time: put its key file back as %s, or name the key with `key`", c.opener.(LocalStore).KeyFile())
	}
	if err != nil {
		return nil, err
	}
	file, err := store.ReceiveCopy(ctx, from)
	if errors.Is(err, embeddedstore.ErrDamaged) {
		_, detail, _ := strings.Cut(err.Error(), embeddedstore.ErrDamaged.Error()+": ")
		return nil, fmt.Errorf("%w: %s", errNoCopy, detail)
	}
	if err != nil {
		return nil, err
	}
	r := &receivedCopy{StoreCopy: file}
	r.generation, err = sealed.Verify(ctx, file, keys)
	if err != nil {
		r.discard(c)
		return nil, c.verifying(err)
	}
	return r, nil
}

// verifying says what to do about a copy that does not open.
func (c *storeConfig) verifying(err error) error {
	switch {
	case errors.Is(err, sealed.ErrKey):
		return fmt.Errorf("the copy is of another store, or older than the last change of the key; add the key of that time below the others: %w", c.unlocking(err))
	case errors.Is(err, sealed.ErrDamaged):
		return fmt.Errorf("the copy has faults; take another one, or if there is none put this one in place by hand while Caddy is stopped, and what does not open is left out: %w", err)
	case errors.Is(err, sealed.ErrSentinel):
		return fmt.Errorf("the copy is not a store of this module, or damaged; take another one: %w", err)
	}
	return fmt.Errorf("checking the copy: %w", err)
}

// install puts the copy in the place of the store, marked as older than what
// was there: links in it may have been used since.
func (r *receivedCopy) install() (kept string, err error) {
	if r.seen, err = r.Generation(); err != nil {
		return "", err
	}
	if err := sealed.Outdate(r, r.generation); err != nil {
		return "", err
	}
	if kept, err = r.Install(); err != nil {
		return "", errors.Join(err, r.forget())
	}
	return kept, nil
}

// undo puts the previous store back.
func (r *receivedCopy) undo() error {
	return errors.Join(r.Undo(), r.forget())
}

// forget takes back that the store counts as older.
func (r *receivedCopy) forget() error {
	if r.seen > r.generation {
		return nil // it was not touched
	}
	return r.SetGeneration(r.seen)
}

func (r *receivedCopy) discard(c *storeConfig) {
	if err := r.Discard(); err != nil {
		c.log.Warn("a copy of the store could not be removed", "error", err)
	}
}
