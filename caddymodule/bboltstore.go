package caddymodule

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// BboltStore keeps everything in one file on this machine. One process can
// have it open at a time.
type BboltStore struct {
	// Path is the file. It and its folder are created if they are missing.
	// Default: password_reset/reset.db under Caddy's data directory.
	Path string `json:"path,omitempty"`

	path string // canonical, placeholders replaced
}

// CaddyModule returns the Caddy module information.
func (*BboltStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: stores + ".bbolt", New: func() caddy.Module { return new(BboltStore) }}
}

// UnmarshalCaddyfile reads:
//
//	store bbolt [<path>]
func (b *BboltStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.CountRemainingArgs() > 0 {
		var err error
		if b.Path, err = oneValue(d, "store bbolt /var/lib/caddy/password_reset/reset.db"); err != nil {
			return err
		}
	}
	return options{}.parse(d)
}

// Provision finds the one name of the file. It does not touch it: this runs
// for `caddy validate`, beside a server that has it open.
func (b *BboltStore) Provision(ctx caddy.Context) error {
	if err := register(ctx.GetMetricsRegistry(), commitSeconds); err != nil {
		return err
	}
	path, err := expand("path", b.Path)
	if err != nil {
		return err
	}
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "password_reset", "reset.db")
	}
	b.path, err = canonical(path)
	return err
}

// StoreKey implements [StoreOpener].
func (b *BboltStore) StoreKey() string { return "bbolt:" + b.path }

// OpenStore implements [StoreOpener].
func (b *BboltStore) OpenStore(ctx context.Context, log *slog.Logger) (kv.Store, error) {
	return embeddedstore.Open(ctx, embeddedstore.Options{Path: b.path, Committed: commitTook, Logger: log})
}

// KeyFile implements [LocalStore].
func (b *BboltStore) KeyFile() string { return filepath.Join(filepath.Dir(b.path), "reset.key") }

// Stored implements [RestorableStore].
func (b *BboltStore) Stored() (bool, error) {
	_, err := os.Lstat(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// ReceiveCopy implements [RestorableStore].
func (b *BboltStore) ReceiveCopy(ctx context.Context, r io.Reader) (StoreCopy, error) {
	c, err := embeddedstore.Receive(ctx, b.path, r)
	if err != nil {
		return nil, err // and no nil pointer
	}
	return c, nil
}

// canonical returns the one spelling of a path, so that two of them cannot
// stand for one file. The part that does not exist yet stays as it is.
func canonical(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		return whole, nil
	}
	dir, file := filepath.Split(path)
	dir = filepath.Clean(dir)
	if dir == path {
		return path, nil
	}
	if dir, err = canonical(dir); err != nil {
		return "", err
	}
	return filepath.Join(dir, file), nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*BboltStore)(nil)
	_ caddyfile.Unmarshaler = (*BboltStore)(nil)
	_ RestorableStore       = (*BboltStore)(nil)
	_ StoreCopy             = (*embeddedstore.Copy)(nil)
)
